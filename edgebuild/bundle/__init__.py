"""What is shipped: layout, runner, manifest, and the check of every digest."""
