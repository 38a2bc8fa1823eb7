"""One file a task: what a model's answers mean, what their labels must be, and what it costs to be wrong."""
