"""Statistics of verdicts: intervals, bounds and tests that gates decide by."""
