"""What is chosen, answered and measured where several files are one deployable."""
