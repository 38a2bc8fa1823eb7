"""Tests of what comes before the product: its scripts."""
