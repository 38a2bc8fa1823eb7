"""Kinds of data, one file each: found by name when `data` in a model.toml is a table."""
