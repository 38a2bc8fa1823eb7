"""Assemblies: a cascade on one device and over a link, an early exit, and a model split between edge and server."""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import _project
from benchmarks._tables import Table
from benchmarks.two_devices.wire import Wire
from edgebuild.engine.store import Store
from edgebuild.nn.model_code import ModelCode
from edgebuild.spec.project import open_project
from edgebuild.spec.registry import FORMATS
from edgebuild.travels import edge_link

if TYPE_CHECKING:
    import numpy as np

TARGET, BIT_RATE, SPLIT_EXAMPLES = "rpi4", 1e6, 200
_HERE = Path(__file__).parent
_FIRST = 3  # examples that the edge answers before it is timed
_KEY = {edge_link.KEY: secrets.token_hex(16)}
_MODEL = """
description = "A benchmark's"
base = "digits"
by_name = true

[assembly]
{assembly}

[budgets.{target}]
accuracy = "0.5 pp"
"""
_CASCADE = 'use = "cascade"\nserver = true\nshare = 0.02\nparts = [{ recipe = "fastest" }, { recipe = "balanced" }]'
_SMALL = _CASCADE.replace("fastest", "int8").replace("balanced", "float16").replace("share = 0.02", "loss = 0.5")
_EXIT = 'use = "early_exit"\nshare = 0.05\nparts = [{ recipe = "balanced" }]'
_SPLIT = 'use = "split"\nlink = "1 Mbit/s"\ntimeout = "20 s"\nparts = [{ recipe = "int8" }]'
_ROUTED = {
    "name": ("what answers", ""),
    "right": ("right answers", ".2%"),
    "drop": ("pp less than float, at most", ".2f"),
    "bytes": ("bytes", ",d"),
    "ms": ("mean, ms", ".3f"),
    "low": ("from", ".3f"),
    "high": ("to", ".3f"),
    "worst": ("worst case, ms", ".3f"),
    "share": ("go on to it", ".2%"),
    "verdict": ("verdict", ""),
}
_SHARE = {"share": "accuracy", "low": "low", "high": "high"}  # figures of documents, by what manifests call them
_LINKED = {
    "name": ("what answers", ""),
    "examples": ("examples", ",d"),
    "crossing": ("go over the link", ",d"),
    "bytes": ("bytes on the link", ",d"),
    "right": ("right answers", ".2%"),
}
_CUT = {
    "name": ("where it computes", ""),
    "bytes": ("bytes on the link, an example", ",.0f"),
    "predicted": ("predicted, ms", ".2f"),
    "ms": ("measured, ms", ".2f"),
    "equal": ("bit by bit as the whole file", ""),
}


@dataclass(frozen=True, slots=True)
class _Built:
    """A project whose assemblies are built, and its held-out examples [n, …] with labels [n]."""

    root: Path
    store: Store
    x: np.ndarray
    labels: np.ndarray

    def bundle(self, model: str) -> Path:
        """Its folder, released or not."""
        return self.root / "dist" / TARGET / model

    def manifest(self, model: str) -> dict[str, Any]:
        """What the bundle says of itself."""
        facts: dict[str, Any] = json.loads((self.bundle(model) / "manifest.json").read_text(encoding="utf-8"))
        return facts

    def right(self, scores: np.ndarray) -> float:
        """Share of right answers."""
        return float((scores.argmax(-1) == self.labels[: len(scores)]).mean())


def run(*, small: bool) -> list[Table]:
    """Four tables; `small`: without the early exit, of a model that knows nothing."""
    with tempfile.TemporaryDirectory() as folder:
        built = _built(Path(folder), small=small)
        tables = [_cascade(built), _over_a_link(built), _split(built, 3 if small else SPLIT_EXAMPLES)]
        return tables if small else [*tables, _early_exit(built)]


def _built(root: Path, *, small: bool) -> _Built:
    _project.target(TARGET)
    project = _project.digits(root, small=small)
    if small:
        _project.with_target(root, TARGET, examples=20, formats=("onnx",), short=True)
    own = project.store if small else open_project(_project.ROOT).store
    assemblies = {"cascade": _SMALL if small else _CASCADE, "split": _SPLIT}
    if not small:
        assemblies["early_exit"] = _EXIT
    for model, assembly in assemblies.items():
        (root / "models" / model).mkdir()
        text = _MODEL.format(assembly=assembly, target=TARGET)
        (root / "models" / model / "model.toml").write_text(text, encoding="utf-8")
    models = [part for model in assemblies for part in ("--model", model)]
    environment = os.environ | {"EDGEBUILD_STORE": str(own)}
    paths = os.pathsep.join([str(_project.ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "edgebuild", "--target", TARGET, *models]
    ended = subprocess.run(command, cwd=root, env=environment | {"PYTHONPATH": paths}, stdout=sys.stderr, check=False)
    assert ended.returncode in (0, 1, 3)  # judged: 3 where a gate is undecided
    x, labels = ModelCode(root / "models" / "digits", "models/digits").function("load", "data")()["test"]
    return _Built(root, Store(own), x, labels)


def _cascade(built: _Built) -> Table:
    """On one device: what each part does alone, and both together."""
    facts = built.manifest("cascade")
    alone = [_alone(built, facts, part) for part in facts["evidence"]["joined"]["parts"]]
    notes = ["`share` is 0.02 of the validation examples."]
    return _routed("A cascade", "", built, facts, [*alone, _together("the cascade", facts)], notes)


def _early_exit(built: _Built) -> Table:
    """One network, whole and with an exit."""
    facts, cascade = built.manifest("early_exit"), built.manifest("cascade")
    whole = _alone(built, cascade, cascade["evidence"]["joined"]["parts"][1])
    rule = facts["evidence"]["joined"]["joined"]["rule"]
    notes = [f"Sure from a probability of {rule['threshold']:.2f} on, at temperature {rule['temperature']:.2f}."]
    return _routed("An early exit", "exit_", built, facts, [whole, _together("with the exit", facts)], notes)


def _routed(
    name: str, prefix: str, built: _Built, facts: dict[str, Any], rows: list[dict[str, Any]], notes: list[str]
) -> Table:
    """The float model, then `rows`; its figures' names begin with `prefix`."""
    evidence = facts["evidence"]
    share = evidence["joined"]["parts"][1]["runs"]["share"]
    plain = {
        "name": "float",
        "right": evidence["accuracy"]["heads"]["output"]["baseline"]["accuracy"],
        "bytes": evidence["footprint"]["baseline"]["bytes"],
        "ms": 1000 * statistics.median(evidence["latency"]["baseline_seconds"]),
    }
    notes = [
        f"{TARGET}, emulated, one thread, {facts['format']}; {len(built.x):,} held-out digits, of which none chose "
        "anything.",
        f"Of these {share['accuracy']:.2%} [{share['low']:.2%}, {share['high']:.2%}] go on (95 %).",
        *notes,
    ]
    figures = {f"{prefix}{key}": f"{share[end]:.1%}" for key, end in _SHARE.items()}
    return Table(name, _ROUTED, [dict.fromkeys(_ROUTED) | row for row in (plain, *rows)], notes, figures)


def _alone(built: _Built, facts: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """The row of one part of a cascade, when it answers everything."""
    scores = _scores(built.bundle("cascade") / f"{part['name']}.{facts['format']}", facts["format"], built.x)
    row = {"name": f"`{part['name']}` alone", "right": built.right(scores), "bytes": part["bytes"]}
    return row | {"ms": 1000 * part["seconds"]}


def _together(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    """The row of an assembly whose second part answers what the first one is not sure of."""
    evidence = facts["evidence"]
    times = {key: 1000 * value for key, value in evidence["joined"]["times"].items() if key != "fidelity"}
    return {
        "name": name,
        "right": evidence["accuracy"]["heads"]["output"]["candidate"]["accuracy"],
        "drop": 100 * next(one for one in facts["verdicts"] if one["metric"] == "accuracy")["high"],
        "bytes": evidence["footprint"]["candidate"]["bytes"],
        "ms": times.pop("mean"),
        **times,
        "share": evidence["joined"]["parts"][1]["runs"]["share"]["accuracy"],
        "verdict": facts["status"],
    }


def _scores(file: Path, form: str, x: np.ndarray) -> np.ndarray:
    import numpy as np

    answers = FORMATS.get(form)().run(file.read_bytes(), [(row[None],) for row in x])
    return np.concatenate([each[0] for each in answers])


def _over_a_link(built: _Built) -> Table:
    """What a cascade sends to a server, and what is sent where the server answers everything."""
    facts, bundle = built.manifest("cascade"), built.bundle("cascade")
    rows: list[dict[str, Any]] = []
    with _served(bundle / "serve_part.py") as where:
        for name, edge in (("the cascade", str(bundle)), ("the server alone", "-")):
            wire = _wire(where)
            outputs, _ = _answers(built, edge, wire, built.x, server=bundle)
            crossing = facts["evidence"]["joined"]["parts"][1]["runs"]["runs"] if edge != "-" else len(built.x)
            row = {"name": name, "examples": len(built.x), "crossing": crossing, "bytes": wire.bytes}
            rows.append(row | {"right": built.right(outputs)})
    times = rows[1]["bytes"] / max(1, rows[0]["bytes"])
    notes = [
        "Two processes and TCP between them; bytes of both directions, with the greeting and the proof of each frame.",
        f"The cascade sends one byte where the server alone is sent {times:.0f}.",
    ]
    return Table("A cascade whose second part is a server's", _LINKED, rows, notes, {"times": f"{times:.0f}"})


def _split(built: _Built, examples: int) -> Table:
    """A line of `BIT_RATE`, and the edge as slow as it is predicted to be."""
    import numpy as np

    cuts, bundle = built.manifest("split")["evidence"]["cuts"], built.bundle("split")
    best = next(row for row in cuts["table"] if row["tensor"] == cuts["chosen"])
    whole = _project.made(built.store, f"{TARGET}/split/onnx/int8") / FORMATS.get("onnx").file
    x, link = built.x[:examples], f"{BIT_RATE:.0f}"
    alone = _scores(whole, "onnx", x)
    rows: list[dict[str, Any]] = []
    halves, alone_there = [bundle / "serve_part.py"], [_HERE / "whole.py", bundle, whole]
    ways: dict[str, tuple[list[Path], str, list[str], float]] = {
        "in two halves": (halves, str(bundle), ["edge", str(best["edge_seconds"])], best["total"][link]),
        "all at the server": (alone_there, "-", [], cuts["there"][link]),
    }
    for name, (program, edge, slow, predicted) in ways.items():
        with _served(*program) as where:
            wire = _wire(where, BIT_RATE)
            outputs, times = _answers(built, edge, wire, x, *slow, server=bundle)
        rows.append(
            {
                "name": name,
                "bytes": wire.bytes / (len(x) + _FIRST),
                "predicted": 1000 * predicted,
                "ms": 1000 * statistics.median(times),
                "equal": "yes" if np.array_equal(outputs, alone) else "no",
            }
        )
    faster = rows[1]["ms"] / rows[0]["ms"]
    notes = [
        f"{len(x)} held-out digits, one after the other, over a line of {BIT_RATE / 1e6:g} Mbit/s in each direction "
        "(a paced socket between two processes); the edge's half takes at least what is predicted for the Pi.",
        f"Cut behind {cuts['chosen']!r}, one of {len(cuts['table'])} places; all at the edge would take "
        f"{1000 * cuts['here']:.2f} ms. In halves an answer comes {faster:.1f} times as fast as from the server alone.",
    ]
    return Table("A model in two halves", _CUT, rows, notes, {"faster": f"{faster:.1f}"})


def _wire(where: str, rate: float | None = None) -> Wire:
    wire = Wire(where, rate)
    wire.start()
    return wire


@contextmanager
def _served(program: Path, *arguments: Path) -> Iterator[str]:
    """Where a server answers, in a process of its own."""
    command = [sys.executable, "-P", str(program), *(map(str, arguments) if arguments else ("--port", "0"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | _KEY) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.kill()


def _answers(
    built: _Built, edge: str, wire: Wire, x: np.ndarray, *slow: str, server: Path
) -> tuple[np.ndarray, np.ndarray]:
    """What the edge answers, a process of its own, and the seconds of each answer."""
    import numpy as np

    examples, result = built.root / "x.npy", built.root / "answers.npz"
    np.save(examples, x)
    environment = os.environ | _KEY | {edge_link.SERVER: wire.where, "SERVER_BUNDLE": str(server)}
    command = [sys.executable, "-P", str(_HERE / "edge.py"), edge, str(examples), str(result), *slow]
    subprocess.run(command, check=True, env=environment)
    wire.close()
    with np.load(result) as stored:
        return stored["outputs"], stored["times"]
