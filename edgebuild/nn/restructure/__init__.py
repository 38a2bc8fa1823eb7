"""Puts other parts in the place of a module's own: cheaper ones that start from what the old ones had learnt."""
