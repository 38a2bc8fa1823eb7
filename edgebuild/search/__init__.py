"""Finds the recipe that passes: which to try next, how far to try it, and which of them are worth having."""
