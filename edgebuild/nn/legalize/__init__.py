"""Says a model in operators that a format takes and its runtime computes well, and proves that it answers the same."""
