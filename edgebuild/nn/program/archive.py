"""The records of a .pt2 archive, read without torch: its graph as JSON, and what else lies beside it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebuild.spec.errors import UsageError

_LARGEST = 2**28  # bytes of JSON: that of a network of a thousand layers has a hundredth of it
_GRAPHS, _WEIGHTS, _CONSTANTS, _SAMPLES = "models/", "data/weights/", "data/constants/", "data/sample_inputs/"
_MARKS = ("archive_format", "archive_version", "byteorder", "version", ".data/", "extra/")


@dataclass(frozen=True, slots=True)
class Archive:
    """Names are those below the folder that all records of an archive lie in.

    graph: what `torch.export.save` wrote of the one program
    payloads: what it says of each weight and constant, by name
    samples: the records with the inputs that the program was made with
    """

    graph: dict[str, Any]
    payloads: dict[str, dict[str, Any]]
    samples: tuple[bytes, ...]


def read(path: Path) -> Archive:
    """UsageError for what is no such archive, is damaged, holds compiled code, or was saved in an older form."""
    try:
        with zipfile.ZipFile(path) as opened:
            return _read(opened)
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError, EOFError) as error:
        raise UsageError(f"is no program of torch.export: {error}") from None


def _read(opened: zipfile.ZipFile) -> Archive:
    records = {name.partition("/")[2]: name for name in opened.namelist()}
    names = [*records]
    if len({name.partition("/")[0] for name in opened.namelist()}) != 1 or len(records) != len(opened.namelist()):
        raise UsageError("is no program of torch.export: its records do not lie in one folder")
    known = (_GRAPHS, _WEIGHTS, _CONSTANTS, _SAMPLES, *_MARKS)
    if strange := [name for name in names if not name.startswith(known)]:
        content = "compiled code" if strange[0].startswith("data/aotinductor") else "something that is no program"
        hint = "save it with torch.export.save alone"
        raise UsageError(f"holds {content} ({strange[0]!r}), which is not run", hint=hint)
    graphs = [name for name in names if name.startswith(_GRAPHS)]
    if len(graphs) != 1:
        raise UsageError(f"is no program of torch.export: it holds {len(graphs)} graphs")
    if any(name.startswith((_WEIGHTS, _CONSTANTS)) and name.endswith(".pt") for name in names):
        raise UsageError("was saved in an older form, as pickles", hint="load it where it was made and save it anew")
    configs = [name for name in names if name.startswith((_WEIGHTS, _CONSTANTS)) and name.endswith(".json")]
    payloads = {key: value for name in configs for key, value in _json(opened, records[name])["config"].items()}
    samples = tuple(opened.read(records[name]) for name in names if name.startswith(_SAMPLES))
    return Archive(_json(opened, records[graphs[0]]), payloads, samples)


def _json(opened: zipfile.ZipFile, name: str) -> dict[str, Any]:
    if opened.getinfo(name).file_size > _LARGEST:
        raise ValueError(f"{name} is larger than any graph")
    read = json.loads(opened.read(name))
    if not isinstance(read, dict):
        raise ValueError(f"{name} is no object of JSON")
    return read


def strings(value: Any, key: str) -> Iterator[str]:
    """Every string that stands under this key, however deep."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key and isinstance(item, str):
                yield item
            else:
                yield from strings(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item, key)
