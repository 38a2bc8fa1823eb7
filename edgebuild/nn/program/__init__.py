"""Programs of torch.export (.pt2): what one is, whether loading it would run code, and what becomes of it."""
