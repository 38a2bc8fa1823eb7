"""What tests share: one project with a tiny model that is trained once a session."""
