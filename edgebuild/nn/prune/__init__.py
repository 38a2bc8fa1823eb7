"""Structured and single-weight pruning of torch modules: stock, importance, budgets, removal."""
