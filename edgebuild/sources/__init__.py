"""Where models come from: one file a source, each makes the first artifact of a plan."""
