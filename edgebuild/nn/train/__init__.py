"""Training and distillation: the loop, its losses, and what a student learns from."""
