"""Plans of the tiny model, wherever it comes from."""

from tests.plan.conftest import plan, refusal, store

__all__ = ["plan", "refusal", "store"]
