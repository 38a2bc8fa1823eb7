"""Structured pruning of 40 architectures by our engine, Torch-Pruning and TinyNeuralNetwork: what each can follow.

Each tool prunes each network in a process of its own with a limit of CPU time, each peer in an environment of its own.
What is done is kept beside the peers' environments, network by network, so that a run that was stopped goes on; one
that is stopped by Ctrl-C ends with the table of what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._tables import Table
from benchmarks.peers import _environments
from benchmarks.structured_pruning import ours

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = ("torch_pruning", "tinynn")
_SMALLEST = "transformers/distilbert"
ENOUGH, EQUAL, PARITY = 0.3, 1e-9, 1e-3
_PRUNING = ROOT / "edgebuild" / "nn" / "prune"
_FILES = ("dependencies", "proof", "trial", "streamed", "slicing", "sizes", "narrow", "channels")
_ENGINE = [*sorted((_PRUNING / "trace").rglob("*.py")), *(_PRUNING / f"{name}.py" for name in _FILES), HERE / "ours.py"]
_LIMIT = 1200  # seconds of CPU time of a network, conversions included
_NOT_RUN = {"error": "not run"}
_COLUMNS = {
    "name": ("network", ""),
    "parameters": ("parameters", ",d"),
    "groups": ("groups", "d"),
    "protected": ("layers whole", "d"),
    "lost": ("parameters lost", ".1%"),
    "difference": ("difference", ".0e"),
    "onnx": ("ONNX", ".0e"),
    "tflite": ("TFLite", ".0e"),
    "seconds": ("seconds", ".1f"),
    "torch_pruning": ("Torch-Pruning", ".1%"),
    "tinynn": ("TinyNN", ".1%"),
}


def run(*, small: bool) -> list[Table]:
    """A table of all networks, and one of what stays whole; `small`: one network, our engine alone."""
    from benchmarks.structured_pruning.architectures import ARCHITECTURES

    names = [_SMALLEST] if small else [*ARCHITECTURES]
    rows = [_row(name, ours.pruned(name), {}) for name in names] if small else [*_compared(names)]
    tables = [Table("Networks", _COLUMNS, rows, _notes(rows), _figures(rows)), _whole(rows)]
    return [table for table in tables if table.rows]


def _compared(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row of each; once the user interrupts, of what was kept before."""
    peers, stopped = {peer: _peer(peer) for peer in PEERS}, False
    for name in names:
        try:
            yield _sides(name, peers, stopped)
        except KeyboardInterrupt:
            stopped = True
            yield _sides(name, peers, stopped)


def _sides(name: str, peers: Mapping[str, Sequence[str] | None], stopped: bool = False) -> dict[str, Any]:
    own = _kept("ours", name, [sys.executable, "-m", ours.__name__, name], _ENGINE, stopped)
    return _row(name, own, {peer: _of_peer(peer, name, command, stopped) for peer, command in peers.items()})


def _of_peer(peer: str, name: str, command: Sequence[str] | None, stopped: bool = False) -> dict[str, Any]:
    if command is None:
        return {"error": "its packages cannot be had here"}
    return _kept(peer, name, [*command, name], sorted((HERE / peer).iterdir()), stopped)


def _row(name: str, own: dict[str, Any], others: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    missing = dict.fromkeys([*_COLUMNS, "error"]) | {"whole": {}}
    row = missing | own | {"name": name, "protected": len(own["whole"]) if "whole" in own else None}
    row |= {kind: row[kind] if isinstance(row[kind], float) else None for kind in ("onnx", "tflite")}
    row["converter"] = {kind: own[kind] for kind in ("onnx", "tflite") if isinstance(own.get(kind), str)}
    row |= {peer: other.get("lost") for peer, other in others.items()}
    return row | {"errors": {peer: other["error"] for peer, other in others.items() if "error" in other}}


def _peer(peer: str) -> Sequence[str] | None:
    """How a peer is started, in an environment of its own; None where that cannot be made."""
    try:
        return [str(_environments.python(HERE / peer)), str(HERE / peer / "prune.py")]
    except subprocess.CalledProcessError:
        return None


def _kept(side: str, name: str, command: Sequence[str], code: Sequence[Path], stopped: bool = False) -> dict[str, Any]:
    """What a side makes of a network, or the error; from an earlier run of the same code where there was one."""
    files = [HERE / "architectures.py", *(file for file in code if file.is_file())]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    kept = _environments.cache() / f"structured_pruning-{side}-{digest}" / f"{name.replace('/', '-')}.json"
    if kept.is_file():
        held: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return held
    if stopped:
        return _NOT_RUN
    fresh = _ran(command)
    kept.parent.mkdir(parents=True, exist_ok=True)
    aside = kept.with_suffix(f".{os.getpid()}")
    aside.write_text(json.dumps(fresh), encoding="utf-8")
    aside.replace(kept)
    return fresh


def _ran(command: Sequence[str]) -> dict[str, Any]:
    """The last line of what a process prints, which is JSON; or its last words."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
    ended = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, preexec_fn=_limited)
    if ended.returncode in (-signal.SIGINT, -signal.SIGTERM):
        raise KeyboardInterrupt  # who stopped it will want it done another time
    if ended.returncode == -signal.SIGXCPU:
        return {"error": f"took more than {_LIMIT // 60} minutes of CPU time"}
    printed = ended.stdout.strip().splitlines()
    if ended.returncode or not printed:  # a tool that gives up may also exit with 0
        return {"error": (ended.stderr.strip().splitlines() or [f"exit {ended.returncode}"])[-1][:200]}
    row: dict[str, Any] = json.loads(printed[-1])
    return row


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_LIMIT, _LIMIT + 5))


def _good(row: dict[str, Any]) -> bool:
    """Whether enough goes, the answers are those of the same channels silenced, and both files agree with it."""
    limits = {"difference": EQUAL, "onnx": PARITY, "tflite": PARITY}
    return (row["lost"] or 0) >= ENOUGH and all(row[key] is not None and row[key] <= top for key, top in limits.items())


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Of each side how many networks lose enough, and of how many that were run."""
    peers = {peer: sum((row[peer] or 0) >= ENOUGH for row in rows) for peer in PEERS}
    run = {f"{side}_of": len(rows) - len(_left_out(rows, side)) for side in ("ours", *PEERS)}
    return {name: str(count) for name, count in {"ours": sum(map(_good, rows)), **peers, **run}.items()}


def _left_out(rows: Sequence[dict[str, Any]], side: str) -> list[str]:
    """The networks that a side was not run on."""
    errors = {row["name"]: row["errors"].get(side, row["error"] if side == "ours" else None) for row in rows}
    return [name for name, error in errors.items() if error == _NOT_RUN["error"]]


def _notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    figures = _figures(rows)
    left = {side: _left_out(rows, side) for side in ("ours", *PEERS)}
    return [
        f"{figures['ours']} of {figures['ours_of']} lose {ENOUGH:.0%} of their parameters or more, answer as the same "
        "channels silenced do, and agree with their own ONNX and TFLite files; of Torch-Pruning's "
        f"{figures['torch_pruning']} of {figures['torch_pruning_of']}, of TinyNeuralNetwork's {figures['tinynn']} of "
        f"{figures['tinynn_of']} lose as much and still run at batches of 1 and 3 (whether the answers are right is "
        "not asked of them).",
        f"Every group loses {ours.RATIO:.0%} of its channels or heads; random weights; the layers that make the "
        "outputs are kept by all sides. A dash: the tool fails, takes longer than "
        f"{_LIMIT // 60} minutes of CPU time, or was not run; `errors` in the JSON says which.",
        "Difference: in double precision, to the whole network with the same channels silenced, relative to the "
        "largest answer; ONNX and TFLite: of the file's answers to the pruned network's. Seconds: CPU time to trace "
        "the network and to try all groups.",
        "Each peer in an environment of its own (`benchmarks/structured_pruning/*/requirements.txt`). "
        "TinyNeuralNetwork is not on PyPI: where GitHub cannot be reached, git's `url.….insteadOf` names a copy of its "
        "repository; here it was installed from such a copy, each file of code in which has the digest that the commit "
        "gives.",
        *(f"Not run by {side}: {', '.join(names)}." for side, names in left.items() if names),
    ]


def _whole(rows: Sequence[dict[str, Any]]) -> Table:
    """Which layers stay whole for another reason than that they make an output."""
    reasons = [
        {"name": row["name"], "layer": layer, "why": why}
        for row in rows
        for layer, why in row["whole"].items()
        if why != "it makes an output"
    ]
    columns = {"name": ("network", ""), "layer": ("layer", ""), "why": ("stays whole because", "")}
    return Table("Whole for another reason than an output", columns, reasons)
