"""Metrics that a release is judged by, one file each: evidence and a limit give a verdict."""
