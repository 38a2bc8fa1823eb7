"""Whether `torch.export.load` would run code of a .pt2 file: it unpickles, evaluates and calls what a file names.

Weights and constants may be pickles; sizes are expressions that sympy evaluates; an operator is looked up in torch by
its path, whatever it is; containers are made by a class that is imported by its name. Only what an ordinary export
writes is let through.
"""

from __future__ import annotations

import ast
import io
import json
import re
from typing import Any

from edgebuild.nn.program.archive import Archive, strings
from edgebuild.spec.errors import UsageError

_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|quantized_decomposed)\.(?!save\b|from_file\b)[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?"
    r"|_operator\.(getitem|add|sub|mul|neg|floordiv|truediv|mod|pow|ge|gt|le|lt|eq|ne|and_|or_|not_)"
    r"|math\.[a-z0-9_]+|torch\.sym_[a-z_]+"
)
_SYMBOL = re.compile(r"(s|u|zuf|zf)\d+")
_FUNCTIONS = {
    *("Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Min", "Max", "Mod", "PythonMod", "FloorDiv"),
    *("CleanDiv", "CeilDiv", "IntTrueDiv", "FloatTrueDiv", "ModularIndexing", "Where", "PowByNatural", "FloatPow"),
    *("TruncToInt", "FloorToInt", "CeilToInt", "RoundToInt", "ToFloat", "Identity", "LShift", "RShift"),
    *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "StrictLessThan", "LessThan", "StrictGreaterThan"),
    *("GreaterThan", "Equality", "Unequality"),
}
_ARITHMETIC = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.operator, ast.unaryop, ast.cmpop, ast.Load),
    *(ast.Call, ast.keyword, ast.Name, ast.Constant),
)
_CONTAINERS = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
_WAY_OUT = "export the network anew where you trust it, or convert it to ONNX there"


def check(archive: Archive) -> None:
    """UsageError that names the first thing which would run code."""
    for name, payload in archive.payloads.items():
        if payload.get("use_pickle") or not re.fullmatch(r"(weight|tensor)_\d+", str(payload.get("path_name"))):
            raise _refusal(f"{name!r} is a pickle, no plain tensor")
    for target in strings(archive.graph, "target"):
        if not _OPERATORS.fullmatch(target):
            raise _refusal(f"it calls {target!r}, which is no operator of torch's own")
    for expression in strings(archive.graph, "expr_str"):
        if not _plain(expression):
            raise _refusal(f"a size is {expression[:60]!r}, which is no arithmetic")
    for key in ("in_spec", "out_spec"):
        for spec in strings(archive.graph, key):
            _check_containers(json.loads(spec))
    for sample in archive.samples:
        _check_sample(sample)


def _refusal(reason: str) -> UsageError:
    return UsageError(f"would run code to be loaded, which is not done: {reason}", hint=_WAY_OUT)


def _plain(expression: str) -> bool:
    """Whether it is arithmetic of numbers and symbols."""
    try:
        nodes = [*ast.walk(ast.parse(expression.strip(), mode="eval"))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for node in nodes:
        known = isinstance(node, _ARITHMETIC)
        if isinstance(node, ast.Name):
            known = node.id in _FUNCTIONS or bool(_SYMBOL.fullmatch(node.id))
        elif isinstance(node, ast.Call):
            known = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            known = bool(_SYMBOL.fullmatch(node.value))
        if not known:
            return False
    return True


def _check_containers(spec: Any) -> None:
    for one in spec if isinstance(spec, list) else [spec]:
        if isinstance(one, dict):
            if one.get("type") not in _CONTAINERS:
                raise _refusal(f"it takes or gives a {one['type']}, whose class would be imported")
            _check_containers(one.get("children_spec", []))


def _check_sample(record: bytes) -> None:
    import torch

    if not record:
        return
    try:
        torch.load(io.BytesIO(record), map_location="cpu", weights_only=True)
    except Exception:  # it raises whatever the bytes lead to, and torch.export would read them as a pickle then
        raise _refusal("its example inputs are no plain tensors") from None
