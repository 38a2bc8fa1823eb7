"""Which steps of a recipe a build may leave out: those that cost something on the target and bought nothing."""

from __future__ import annotations

from collections.abc import Sequence

from edgebuild.plan.recipe import Chain, Without
from edgebuild.spec.evidence import Judged, Verdicts, known


def useless(chains: Sequence[Chain], verdicts: Verdicts) -> Without:
    """The (format, place in the recipe) of every useless step, by the proofs in the verdicts of a build.

    A step before conversion is shared by all formats, so it is left out only where it is useless to each of them. What
    a later step cannot stand without stays.
    """
    of_format = {chain.runtime.format: _of_one(chain, verdicts.formats[chain.runtime.format]) for chain in chains}
    shared = frozenset.intersection(*of_format.values())
    return frozenset(
        (chain.runtime.format, stage.number)
        for chain in chains
        for stage in chain.stages
        if stage.number in (shared if stage.output == stage.unconverted else of_format[chain.runtime.format])
    )


def _of_one(chain: Chain, judged: Judged) -> frozenset[int]:
    steps = known(judged.evidence.proof).steps
    pairs = zip(chain.stages, steps, strict=True)
    return frozenset(stage.number for stage, step in pairs if step.useless and not stage.needed)
