"""The emulated ARM device: its set-up, its CPU's profile, running jobs on it, and time from counted work."""
