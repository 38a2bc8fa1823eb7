"""Fake quantization, ranges, and the mending of weights before they are rounded."""
