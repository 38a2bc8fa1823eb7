"""One file for what is refused, slow or wrong somewhere, and what gives the same instead."""
