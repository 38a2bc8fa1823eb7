"""What outlives a build: baselines to compare with, the history of verdicts, and how two bundles differ."""
