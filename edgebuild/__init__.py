"""edgebuild: a build system for models that run at the edge."""

__version__ = "0.1.0"
