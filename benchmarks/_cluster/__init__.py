"""Several machines on this one, for the benchmarks of clusters."""
