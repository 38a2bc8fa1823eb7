"""The tests, laid out as the package is."""

from pathlib import Path

ROOT = Path(__file__).parent.parent  # of the repository
