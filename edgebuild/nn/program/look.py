"""What a .pt2 file is, by its graph alone: nothing in it is run, and torch is not asked."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from edgebuild.nn.program import archive
from edgebuild.spec.errors import UsageError
from edgebuild.spec.look import Look, Port, Size

# Numbers of torch.export's own schema for types of elements.
_TYPES = {
    **{1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64"},
    **{12: "bool", 13: "bfloat16"},
}


def look(path: Path) -> Look:
    """UsageError where it is no program of torch.export, or its graph is not as one is."""
    read = archive.read(path)
    try:
        return _described(read, path.stat().st_size)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise UsageError(f"is no program of torch.export: its graph has no {error}") from None


def _described(read: archive.Archive, size: int) -> Look:
    whole = read.graph["graph_module"]
    graph, signature = whole["graph"], whole["signature"]
    values = graph["tensor_values"]
    taken, returned = _names(signature["input_specs"], "user_input"), _names(signature["output_specs"], "user_output")
    learnt = [payload["tensor_meta"] for payload in read.payloads.values() if payload.get("is_param")]
    operators = Counter(str(node["target"]).removeprefix("torch.ops.") for node in graph["nodes"])
    what = f"program of torch.export (torch {read.graph.get('torch_version', '?')})"
    return Look(
        what + (", exported in training mode" if _trains(graph) else ""),
        tuple(_port(name, values[name]) for name in taken),
        tuple(_port(name, values[name]) for name in returned),
        dict(operators.most_common()),
        sum(math.prod(one["as_int"] for one in meta["sizes"]) for meta in learnt),
        size,
    )


def _names(specs: list[dict[str, Any]], kind: str) -> list[str]:
    return [spec[kind]["arg"]["as_tensor"]["name"] for spec in specs if kind in spec]


def _port(name: str, value: dict[str, Any]) -> Port:
    return Port(name, tuple(_size(one) for one in value["sizes"]), _TYPES.get(value["dtype"], f"type {value['dtype']}"))


def _size(size: dict[str, Any]) -> Size:
    if "as_int" in size:
        return int(size["as_int"])
    text = str(size["as_expr"]["expr_str"])
    return text.partition("'")[2].partition("'")[0] or text


def _trains(graph: dict[str, Any]) -> bool:
    flags = [one for node in graph["nodes"] for one in node["inputs"] if one.get("name") in ("training", "train")]
    return any(one["arg"].get("as_bool") is True for one in flags)
