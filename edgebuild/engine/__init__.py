"""The build engine: keys, store, scheduler and workers; it never learns what a step does."""
