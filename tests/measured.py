"""Evidence made by hand: what a test is about is given, all else is plausible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgebuild.spec.core import Band
from edgebuild.spec.evidence import (
    ONLY,
    Accuracy,
    Activations,
    Agreement,
    Answers,
    Arena,
    BothCounted,
    CacheWork,
    Clusters,
    Counted,
    Cut,
    Differences,
    Estimated,
    Evidence,
    Footprint,
    Group,
    Looks,
    Operators,
    Origin,
    Overlap,
    Predicted,
    Processes,
    Rate,
    Samples,
    SharedWork,
    Timed,
    Weight,
)
from edgebuild.spec.target import Fidelity

Compared = tuple[Overlap, Agreement]
Groups = Mapping[str, tuple[int, int, int]]  # (lost, won, n) by name


def origin(fidelity: Fidelity = "host", device: str = "that", looks: Looks | None = None) -> Origin:
    return Origin(fidelity, device, {}, looks=looks)


def on_device(
    lost: int = 0,
    n: int = 500,
    of: int = 5000,
    won: int = 0,
    *,
    most: int | None = None,
    identical: bool = False,
    differing: int | None = None,
    cut: Cut | None = None,
    stopped: bool = True,
) -> Compared:
    """A device that got `lost` of n answers wrong which the host gets right, and `won` others right."""
    looks = Looks((n,), most or n, "decided", cut) if stopped else None
    differences = Differences(identical, 1000, 0.1, 7, lost + won if differing is None else differing)
    return Overlap(n, of, lost, won), Agreement(origin(looks=looks), n, of, n == of, {ONLY: differences})


def groups(counts: Groups, unrun: int | None = None) -> dict[str, Group]:
    """Classes or slices with drops and no bounds of their own; none of their examples ran, or all but `unrun`."""
    return {
        name: Group(n, lost, won, n if unrun is None else unrun, (lost - won) / n, -1.0, 1.0, 0.95)
        for name, (lost, won, n) in counts.items()
    }


def accuracy(
    lost: int,
    won: int,
    n: int,
    fidelity: Fidelity = "host",
    *,
    compared: Compared | None = None,
    classes: Mapping[str, Group] | None = None,
    slices: Mapping[str, Group] | None = None,
    together: Clusters | None = None,
) -> Evidence:
    """Right answers of one head."""
    rate, (overlap, agreement) = Rate(0.9, 0.8, 0.95), compared or (None, None)
    answers = Answers(n, lost, won, rate, rate, classes or {}, slices or {}, overlap, together)
    return Evidence(accuracy=Accuracy(origin(fidelity), {ONLY: answers}, agreement))


def weight(bytes: int = 1000, download: int | None = None, parameters: int = 700, macs: int = 30_000) -> Weight:
    return Weight(bytes, bytes if download is None else download, parameters, macs)


def footprint(candidate: Weight, baseline: Weight) -> Evidence:
    return Evidence(footprint=Footprint(candidate, baseline))


def arena(candidate: int, baseline: int) -> Arena:
    return Arena(Activations(candidate, 5), Activations(baseline, 5))


def counted(instructions: int = 9_000_000, cycles: float = 5e6) -> Counted:
    return Counted(instructions, {"simd": instructions}, {"l1d": CacheWork(1000, 10)}, cycles, 1.0)


def timed(
    log_ratios: Sequence[float] = (0.0,),
    seconds: Sequence[float] = (0.001,),
    fidelity: Fidelity = "hardware",
    looks: tuple[int, ...] = (10, 20, 40),
    void: str | None = None,
) -> Timed:
    ours = tuple(seconds)
    return Timed(fidelity, "that", ours, (0.001,), 1.0, looks, len(log_ratios), tuple(log_ratios), void=void)


def predicted(
    ours: float,
    theirs: float = 0.1,
    *,
    band: float = 0.3,
    ratio_limits: tuple[float, float] = (0.8, 1.2),
    fidelity: Fidelity = "emulated",
    work: tuple[int, int] = (9_000_000, 10_000_000),
) -> Predicted:
    shared = SharedWork(0.0, 0.0, Operators(0, 3, 3))
    both = BothCounted(*(counted(each) for each in work))
    seconds = ((ours,), (theirs,), 1.0)
    return Predicted(fidelity, "qemu", *seconds, ("somewhere",), Band(1, band), 0.2, ratio_limits, shared, 1, both)


def estimated(ours: float, theirs: float = 0.1, speed: float = 1.0, fidelity: Fidelity = "estimated") -> Estimated:
    return Estimated(fidelity, "roofline", (ours,), (theirs,), speed, "a data sheet")


def processes(
    candidate: Sequence[float],
    baseline: Sequence[float],
    fidelity: Fidelity = "hardware",
    void: str | None = None,
    looks: tuple[int, ...] = (10, 20, 40),
) -> Evidence:
    """The same values as starts, as memory and as percentiles."""
    samples = Samples(tuple(candidate), tuple(baseline))
    both = {"cold_start": samples, "memory": samples, "percentiles": {"p95": samples}}
    return Evidence(processes=Processes(fidelity, "that", looks, len(samples.candidate), void=void, **both))


def together(*parts: Evidence) -> Evidence:
    """What all of them have."""
    whole = Evidence()
    for part in parts:
        kinds = {name: getattr(part, name) for name in Evidence.__dataclass_fields__ if getattr(part, name) is not None}
        whole = replace(whole, **kinds)
    return whole
