"""What is likely to mend a gate that did not pass, in the words of the recipe that was tried.

Each metric says in `mend` which way to go; what a technique has to offer there it says itself (`gentler`, `stronger`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgebuild.spec.evidence import Evidence, Verdict
from edgebuild.spec.metric import Tried
from edgebuild.spec.registry import GATES, STEPS
from edgebuild.spec.target import Gate, reaches
from edgebuild.spec.technique import Technique

# Recipes that come with edgebuild, by what they spare: those that train nothing, and those that take most away, which
# need a module.
_GENTLE, _SMALL, _FAST = ("int8", "float16"), ("balanced", "smallest"), ("balanced", "fastest")

ON_A_DEVICE = "a board or phone (edgebuild gate BUNDLE --target NAME --device ssh://USER@HOST)"


def remedy(gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
    """What to try next, as the end of one line; "" for what passed, and where the metric knows nothing that helps."""
    if verdict.status == "pass":
        return ""
    if verdict.status == "inconclusive" and not reaches(verdict.fidelity, gate.fidelity):
        lacking = (
            "`edgebuild doctor`, which says what the emulator lacks here, or " if gate.fidelity == "emulated" else ""
        )
        return f"{lacking}{ON_A_DEVICE}"
    return GATES.get(gate.metric)().mend(gate, verdict, evidence, tried)


def gentler(tried: Tried) -> str:
    """What costs fewer right answers: a recipe that changes less, or other options of the steps of this one."""
    recipes = [name for name in _untried(_GENTLE, tried) if (name,) != tried.steps]
    return _ways("a recipe that changes less", recipes, _options(tried, lambda technique: _gentler(technique, tried)))


def _gentler(technique: type[Technique], tried: Tried) -> str | None:
    return technique.gentler if tried.trainable else technique.gentler_on_file or technique.gentler


def smaller(tried: Tried) -> str:
    """What takes more bytes and memory away."""
    return _stronger(tried, _SMALL)


def faster(tried: Tried) -> str:
    """What takes more time away."""
    return _stronger(tried, _FAST)


def _stronger(tried: Tried, recipes: Sequence[str]) -> str:
    options = _options(tried, lambda technique: technique.stronger)
    if tried.trainable:
        return _ways("a recipe that takes more away", _untried(recipes, tried), options)
    module = tried.instead or "give a builder in PyTorch and its weights"
    return _joined(f"what takes more away, for which it takes a PyTorch module: {module}", options)


def more_examples(n: int, needed: int) -> str:
    """That the held-out examples are too few, and how many would do."""
    return f'more held-out examples: about {needed} where there are {n}, in "test" of the model\'s data'


def _options(tried: Tried, way: Callable[[type[Technique]], str | None]) -> list[str]:
    """What each technique of the recipe offers this way, once."""
    known = [name for name in dict.fromkeys(tried.steps) if name in STEPS.names()]
    return [f"{name} with {offer}" for name in known if (offer := way(STEPS.get(name)))]


def _untried(recipes: Sequence[str], tried: Tried) -> list[str]:
    return [name for name in recipes if name not in (tried.recipe, *tried.failed)]


def _ways(noun: str, recipes: list[str], options: list[str]) -> str:
    return _joined(f"{noun} ({' or '.join(f'--recipe {name}' for name in recipes)})" if recipes else "", options)


def _joined(first: str, options: list[str]) -> str:
    return "; or ".join(filter(None, (first, ", ".join(options))))
