"""From a target and a model to the graph of a build."""
