"""Techniques, one file each: frozen dataclasses whose fields are the options that a recipe may set."""
