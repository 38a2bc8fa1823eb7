"""What a build makes for one model on one target."""

from __future__ import annotations

from dataclasses import dataclass

from edgebuild.plan.recipe import Chain
from edgebuild.spec.target import Recipe


@dataclass(frozen=True, slots=True)
class Product:
    """What a build makes for one model on one target: ids of the nodes with the verdicts and with the bundle, the
    chains that they come from, and the recipe.
    """

    target: str
    model: str
    verdicts: str
    bundle: str
    chains: tuple[Chain, ...]
    recipe: Recipe
