"""The key of a step: SHA-256 over named parts, so that a rebuild can say which part changed."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from functools import cache
from importlib import metadata

from edgebuild.engine import digests
from edgebuild.engine.graph import Node, option_parts
from edgebuild.spec import surroundings
from edgebuild.spec.artifact import Artifact, Step

_VERSION = re.compile(r"^Version: (\S+)$", re.MULTILINE)


def parts(node: Node, inputs: Mapping[str, Artifact], memo: digests.CodeMemo | None = None) -> dict[str, str]:
    """Everything that the output of `node` depends on, by name; `inputs` are the artifacts by role."""
    step = type(node.step)
    named = {"step": f"{step.__module__}.{step.__qualname__}", "kind": node.kind}
    named |= option_parts(node)
    named |= {f"code.{name}": digest for name, digest in digests.of_code((step.__module__, *node.code), memo).items()}
    named |= {f"input.{role}": f"{item.kind}:{item.digest}" for role, item in inputs.items()}
    named |= {f"tool.{name}": version(name) for name in (*step.tools, *node.tools)}
    named |= {f"tool.{name}": text for name, text in _versions(step).items()}
    named |= {f"fact.{name}": text for name, text in node.facts.items()}
    if node.step.trains:
        named |= {f"machine.{name}": text for name, text in surroundings.machine().items()}
    named["tool.python"] = platform.python_version()
    return dict(sorted(named.items()))


@cache
def _versions(step: type[Step]) -> Mapping[str, str]:
    """What a kind of step says of versions that no distribution stands for, asked once."""
    return step.versions()


def of(named: Mapping[str, str]) -> str:
    """The key for these parts."""
    return digests.of_json(dict(named))


def but_for_inputs(named: Mapping[str, str]) -> str:
    """What runs of a step have in common that differ in their inputs alone."""
    return of({name: part for name, part in named.items() if not name.startswith("input.")})


@cache
def version(distribution: str) -> str:
    """The installed version of a distribution, or "absent"."""
    try:
        text = metadata.distribution(distribution).read_text("METADATA") or ""
        line = _VERSION.search(text)  # to parse the whole of it takes several times as long
        return line[1] if line else metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


_TELLING = ("option.", "input.", "fact.", "machine.", "tool.", "kind", "code.")
_MOST = 3


def reason(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The changes in one line for people: what they themselves changed first, and not more than they can read.

    A step of another kind has other parts altogether; that it is another one says enough.
    """
    old, new = before.get("step"), after.get("step")
    if old != new:
        moved = _last(old) == _last(new)  # another edgebuild had it elsewhere
        return f"step {old} → {new}" if moved else f"step {_last(old)} → {_last(new)}"
    lines = sorted(changes(before, after), key=lambda line: [not line.startswith(head) for head in _TELLING])
    more = len(lines) - _MOST
    return ", ".join(lines[:_MOST]) + (f" and {more} more" if more > 0 else "")


def _last(name: str | None) -> str:
    return name.rpartition(".")[2] if name else "(none)"


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The parts that differ, each as one line such as `option.ratio 0.5 → 0.51`."""
    lines = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            lines.append(f"{name} {_short(name, old)} → {_short(name, new)}")
    return lines


def _short(name: str, value: str | None) -> str:
    if value is None:
        return "(none)"
    if name.startswith("code.") or name == "provenance":
        return value[:12]
    if name.startswith("input."):
        kind, _, digest = value.partition(":")
        return f"{kind}:{digest[:12]}"
    return value
