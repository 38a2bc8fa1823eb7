"""Places where results of other machines are, one file a kind; `spec/cache.py` says what each can do."""
