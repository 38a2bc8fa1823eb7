"""A model.toml for somebody's file: what is known of it, what is guessed, with the reason, and what must be asked."""
