"""From an empty folder with a model of others to a judged bundle: `init` and the command that it names, twenty times.

The models are those of `public_models`, which says where their files are from (`EDGEBUILD_PUBLIC_MODELS`). Networks by
name get weights as files, drawn at random. Nobody brings data, so agreement on noise is judged.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import _project, by_name, public_models
from benchmarks._tables import Table
from benchmarks.by_name import Net
from benchmarks.public_models import Public

TARGET = "host"
_TIMEOUT = 1800  # seconds
_STATUS = {"pass": "released", "fail": "judged, fails", "inconclusive": "judged, inconclusive"}
_COLUMNS = {
    "model": ("model", ""),
    "recipe": ("recipe that `init` names", ""),
    "shipped": ("techniques that were judged", ""),
    "verdict": ("verdict", ""),
    "agreement": ("agreement", ".4f"),
    "bytes": ("bytes, of float", ".2f"),
    "init": ("init, s", ".0f"),
    "build": ("build, s", ".0f"),
}
_WHY = {"model": ("model", ""), "why": ("what it says", "")}


def run(*, small: bool) -> list[Table]:
    """A row for each model; `small`: one by name."""
    folder = Path() if small else public_models.models_folder()
    rows: list[dict[str, Any]] = []
    whys: list[dict[str, str]] = []
    for public in public_models.SMALL if small else public_models.MODELS:
        print(f"  {public.name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="edgebuild-first-") as name:
            if small:
                _project.short_target(Path(name), TARGET)
            brought = _brought(public, folder, Path(name))
        whys += [{"model": public.name, "why": why} for why in brought.pop("why")]
        rows.append(dict.fromkeys(_COLUMNS) | {"model": public.name} | brought)
    judged = [row for row in rows if row["verdict"] in _STATUS.values()]
    minutes = statistics.median([(row["init"] + row["build"]) / 60 for row in judged]) if judged else 0.0
    figures = {
        "judged": f"{len(judged)} of {len(rows)}",
        "released": str(sum(row["verdict"] == _STATUS["pass"] for row in rows)),
        "minutes": f"{minutes:.1f}",
    }
    notes = [
        f"{figures['judged']} reach a verdict by `init` and one build, {figures['released']} are released; the median "
        f"of the two commands is {figures['minutes']} minutes of a machine of two cores with other work beside it.",
        f"Target `{TARGET}` with its default gates. Agreement: the shipped file's with the model as it came, on noise.",
    ]
    return [
        Table("Two commands", _COLUMNS, rows, notes, figures),
        Table("What was not released, and why", _WHY, whys or [dict.fromkeys(_WHY)]),
    ]


def _brought(public: Public, folder: Path, place: Path) -> dict[str, Any]:
    """What the two commands say of a model, in a folder that has nothing else."""
    row: dict[str, Any] = {}
    code, begun, row["init"], said = _edgebuild(place, *_init(public, folder, place), "--target", TARGET)
    if code:
        return row | {"verdict": f"init ends with {code}", "why": [said]}
    command: Sequence[str] = begun["next"].split()[1:]
    row["recipe"] = command[-1]
    code, built, row["build"], said = _edgebuild(place, *command)
    if "bundles" not in built:
        return row | {"verdict": f"the build ends with {code}", "why": [said]}
    return row | _judged(built)


def _init(public: Public, folder: Path, place: Path) -> Iterator[str]:
    """The arguments of `init`; the model lies in the folder beside."""
    yield "init"
    if isinstance(public.file, Net):
        weights = place / "weights.safetensors"
        options = _saved(public.file, weights)
        yield from (f"{public.file.source}:{public.file.name}", "--weights", weights.name, "--name", "net", *options)
    else:
        source = folder / public.file
        whole = shutil.copytree if source.is_dir() else shutil.copyfile
        yield str(whole(source, place / source.name))
    for name, shape in public.shapes.items():
        yield from ("--shape", f"{name}={','.join(map(str, shape))}")


def _saved(net: Net, file: Path) -> Iterator[str]:
    """Writes a network's weights, drawn at random, and says what `init` must be told of it."""
    from safetensors.torch import save_model

    module = by_name.network(net)
    save_model(getattr(module, "net", module), str(file))
    for key, value in net.options.items():
        yield from ("--option", f"{key}={value}")
    if net.size is not None:
        yield from ("--size", str(net.size))
    else:
        for name in ("input_ids", "attention_mask"):
            yield from ("--shape", f"{name}=1,{by_name.LENGTH}")


def _edgebuild(place: Path, *arguments: str) -> tuple[int, dict[str, Any], float, str]:
    """Exit code, what was printed as JSON, seconds, and the last line of the errors."""
    command = [sys.executable, "-m", "edgebuild", *arguments, "--json"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_project.ROOT), os.environ.get("PYTHONPATH", "")])}
    started = time.monotonic()
    try:
        ended = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return -1, {}, time.monotonic() - started, f"takes longer than {_TIMEOUT} s"
    lines = [line for line in ended.stderr.splitlines() if line.startswith("edgebuild: ")] or [""]
    document: dict[str, Any] = json.loads(ended.stdout) if ended.stdout.strip() else {}
    return ended.returncode, document, time.monotonic() - started, lines[-1].removeprefix("edgebuild: ")[:300]


def _judged(built: Mapping[str, Any]) -> dict[str, Any]:
    """Of the shipped format, or of the first."""
    (bundle,) = built["bundles"]
    judged = bundle["formats"][bundle["format"] or next(iter(bundle["formats"]))]
    evidence = judged["evidence"]
    size = evidence["footprint"]
    whys = [f"{one['metric']}: {one['reason']}"[:300] for one in judged["verdicts"] if one["status"] != "pass"]
    return {
        "verdict": _STATUS[bundle["status"]],
        "shipped": " ".join(step["step"] for step in evidence["proof"]["steps"]),
        "agreement": next((1 - one["estimate"] for one in judged["verdicts"] if one["metric"] == "agreement"), None),
        "bytes": size["candidate"]["bytes"] / size["baseline"]["bytes"],
        "why": whys,
    }
