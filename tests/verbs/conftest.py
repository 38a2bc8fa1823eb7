"""Small files of the kinds that people bring."""

from tests.zoo import zoo

__all__ = ["zoo"]
