"""The tiny models of the zoo."""

from tests.zoo import lite, start, zoo

__all__ = ["lite", "start", "zoo"]
