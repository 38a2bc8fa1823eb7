"""Figures that the documentation quotes, each repeatable by anybody: `python -m benchmarks`."""
