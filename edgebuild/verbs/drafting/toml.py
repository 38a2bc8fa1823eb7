"""Values as a model.toml has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgebuild.spec.signature import TensorSpec


def quoted(value: str | list[str]) -> str:
    """As TOML has it: a JSON string is one, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def value(content: Any) -> str:
    """A word, number, list or table of these, in a line."""
    if isinstance(content, Mapping):
        return "{" + ", ".join(f"{quoted(key)} = {value(own)}" for key, own in content.items()) + "}"
    if isinstance(content, list | tuple):
        return f"[{', '.join(map(value, content))}]"
    return quoted(content) if isinstance(content, str) else json.dumps(content)


def tensor(table: str, name: str, spec: TensorSpec) -> list[str]:
    """The lines of one of [[inputs]] or [[outputs]]; the usual element type goes without saying."""
    lines = [f"[[{table}]]", f"name = {quoted(name)}", f"shape = {list(spec.shape)}"]
    return lines if spec.dtype == "float32" else [*lines, f"dtype = {quoted(spec.dtype)}"]
