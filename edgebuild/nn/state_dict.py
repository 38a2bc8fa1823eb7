"""Trained weights from elsewhere: read without running code, under the model's own names, and held against the model.

What PyTorch itself accepts is accepted: batch norms that do not say how many batches they saw, and the prefix that a
wrapper put before every name. Beside the model's tensors a file may have others (of a loss, an average, an optimizer)
where one place or prefix in it has all of the model's: what is left out is said. Nothing else is guessed.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.nn import inert
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.look import Look

if TYPE_CHECKING:
    from torch import Tensor, nn

    Tensors = Mapping[str, Tensor]

# What DataParallel, a module that holds the model, and torch.compile put before the names of all tensors.
_WRAPPERS = ("module.", "model.", "_orig_mod.")
# Where training scripts keep the state dict that others (of an average, a loss) lie beside.
_PLACES = ("state_dict", "model", "model_state", "model_state_dict")
_COUNTER = "num_batches_tracked"
_SHOWN = 3
_ONE = "save the one that is meant alone: torch.save(torch.load(…)[{!r}], …)"
_ALONE = "save the state dict alone: torch.save(model.state_dict(), …), or safetensors.torch.save_file"


_LOOKED = "tensors are looked for at its top and below each of its keys"


def read(path: Path, shown: str) -> tuple[Tensors, list[str]]:
    """The tensors of a safetensors file or of what `torch.save` wrote, by name, and what was done to find them.

    UsageError, in one line, for a file that is neither, or that would have to run code to be read.
    """
    if _is_safetensors(path):
        return _safetensors(path, shown), []
    return _state(_saved(path, shown), shown)


def look(path: Path) -> Look:
    """What is in the file; UsageError, which names a program as one, where it holds no tensors that are plain."""
    try:
        tensors, notes = read(path, path.name)
    except UsageError as error:
        raise UsageError(error.reason, hint=error.hint) from None
    counted = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values())
    types = ", ".join(f"{count} {name}" for name, count in counted.most_common())
    learnt = sum(tensor.numel() for tensor in tensors.values() if tensor.is_floating_point())
    what = "; ".join([f"state dict of {len(tensors)} tensors ({types})", *notes])
    return Look(what, parameters=learnt, bytes=path.stat().st_size)


def fit(module: nn.Module, tensors: Tensors, shown: str) -> list[str]:
    """Fill the module, and say what was done to make the tensors fit; UsageError names those that do not."""
    expected = module.state_dict()
    readings = list(_readings(tensors))
    named_well = [
        reading for reading in readings if not _absent(expected, reading[1]) and not _unknown(expected, reading[1])
    ]
    named_well = named_well or _below(expected, tensors, shown)
    # Where none fits, the error speaks of the names that are nearest to the model's.
    nearest = max(readings, key=lambda reading: len(reading[1].keys() & expected.keys()))
    dropped, named = named_well[0] if named_well else nearest
    if misfit := _misfit(expected, named):
        raise UsageError(misfit, file=shown)
    counters = {name: tensor for name, tensor in expected.items() if name not in named}
    module.load_state_dict({**counters, **named}, strict=True)
    done = [f"the prefix {dropped!r} of all names is left out"] if dropped else []
    if others := [name for name in tensors if not name.startswith(dropped)]:
        kept = f"tensors are those whose names begin with {dropped!r}"
        done = [f"{kept}, which is left out; not {_few(list(map(repr, others)))}"]
    return done + ([f"{_COUNTER} is absent {len(counters)} times and stays 0"] if counters else [])


def _readings(tensors: Tensors) -> Iterator[tuple[str, Tensors]]:
    """The names as they are, then without each wrapper's prefix that all of them share, from the outside in."""
    prefix = ""
    while True:
        yield prefix, tensors
        shared = [head for head in _WRAPPERS if tensors and all(name.startswith(head) for name in tensors)]
        if not shared:
            return
        prefix += shared[0]
        tensors = {name.removeprefix(shared[0]): tensor for name, tensor in tensors.items()}


def _below(expected: Tensors, tensors: Tensors, shown: str) -> list[tuple[str, Tensors]]:
    """The one prefix below which all of the model's tensors lie, and nothing but these, where others lie beside it: a
    module that was trained keeps its loss there. UsageError where there are several, such as a teacher's.
    """
    first = next(iter(expected), None)
    heads = [name.removesuffix(first) for name in tensors if first and name.endswith(f".{first}")]
    readings: list[tuple[str, Tensors]] = [
        (head, {name.removeprefix(head): tensor for name, tensor in tensors.items() if name.startswith(head)})
        for head in heads
    ]
    fitting = [reading for reading in readings if _misfit(expected, reading[1]) is None]
    if len(fitting) > 1:
        places = _few([repr(head) for head, _ in fitting])
        hint = "save those of one alone, without what stands before their names"
        raise UsageError(f"several state dicts of this model: names begin with {places}", file=shown, hint=hint)
    return fitting


def _unknown(expected: Tensors, tensors: Tensors) -> list[str]:
    return [name for name in tensors if name not in expected]


def _absent(expected: Tensors, tensors: Tensors) -> list[str]:
    """What the model needs and is not there; a norm answers the same whatever number of batches it has counted."""
    return [name for name in expected if name not in tensors and not _counts_batches(name, expected)]


def _counts_batches(name: str, expected: Tensors) -> bool:
    path, _, leaf = name.rpartition(".")
    return leaf == _COUNTER and (f"{path}.running_mean" if path else "running_mean") in expected


def _misfit(expected: Tensors, tensors: Tensors) -> str | None:
    """What does not fit, in one line; None when all does."""
    here, there = ({name: list(tensor.shape) for name, tensor in one.items()} for one in (expected, tensors))
    other = [name for name in there if name in here and there[name] != here[name]]
    misfits = {
        "the file lacks": [f"{name!r} {here[name]}" for name in _absent(expected, tensors)],
        "the model has no": [f"{name!r} {there[name]}" for name in _unknown(expected, tensors)],
        "of another shape:": [f"{name!r} {there[name]}, in the model {here[name]}" for name in other],
    }
    lines = [f"{words} {_few(names)}" for words, names in misfits.items() if names]
    return f"the weights do not fit: {'; '.join(lines)}" if lines else None


def _few(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _is_safetensors(path: Path) -> bool:
    """By its name, or by the JSON header that starts behind eight bytes of its length: no pickle and no zip does."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _safetensors(path: Path, shown: str) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: Tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"not a readable safetensors file: {error}", file=shown) from None
    return tensors


def _saved(path: Path, shown: str) -> Any:
    """What `torch.save` wrote, as long as it is plain data and tensors."""
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):  # of TorchScript, which is refused in our words
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # it raises whatever the bytes lead to
        if exhausted(error):
            raise
        if _mappings(saved := inert.load(path, _unsafe(path))):
            return saved
        reason, hint = _why_unreadable(path, error)
        raise UsageError(reason, file=shown, hint=hint) from None


def _why_unreadable(path: Path, error: Exception) -> tuple[str, str]:
    """One line for what torch says in many, and what to do."""
    if _is_program(path):
        return "a program of torch.export: it is no state dict", '[source] use = "pt2" takes it'
    if "TorchScript" in str(error):
        hint = "where you trust it: torch.save(torch.jit.load(…).state_dict(), …) for the class that it was made of"
        return "a TorchScript archive: it is a program, which is not run, and no state dict", hint
    return _why_no_tensors(path, error), _ALONE


def _is_program(path: Path) -> bool:
    """Whether it is an archive of torch.export, whatever it is called."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/archive_format") for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):  # damaged: torch has said what it lacks
        return False


def _why_no_tensors(path: Path, error: Exception) -> str:
    if needed := _unsafe(path) or re.findall(r"GLOBAL (\S+)", str(error)):
        return f"not plain tensors: it needs the code of {_few(sorted({*needed}))}, which is not run"
    return f"not a file of torch.save with plain tensors ({type(error).__name__})"


def _unsafe(path: Path) -> list[str]:
    """What code a file needs, as module.name; nothing of a file that is not in the new format."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        return get_unsafe_globals_in_checkpoint(path)
    except Exception:  # it raises whatever the bytes lead to
        return []


def _state(saved: Any, shown: str) -> tuple[Tensors, list[str]]:
    """The state dict in what was saved, and the line about where it lies where it is not all of it."""
    if _all_tensors(saved):
        return dict(saved), []
    found = _mappings(saved)
    usual = [key for key in found if key in _PLACES]
    if len(usual) == 1 or len(found) == 1:
        (place,) = usual or found
        others = [repr(key) for key in found if key != place]
        return found[place], [f"tensors are those under {place!r} in the file", *_beside(others)]
    if found:
        reason = f"several state dicts: under {_few(list(map(repr, usual or found)))}"
        raise UsageError(reason, file=shown, hint=_ONE.format((usual or [*found])[0]))
    keys = [repr(key) for key in saved] if isinstance(saved, Mapping) else []
    held = f"a mapping with {_few(keys) or 'nothing in it'}" if isinstance(saved, Mapping) else type(saved).__name__
    raise UsageError(f"holds no state dict but {held}; {_LOOKED}", file=shown, hint=_ALONE)


def _beside(others: list[str]) -> list[str]:
    return [f"not those under {_few(others)}"] if others else []


def _mappings(saved: Any) -> dict[str, Tensors]:
    """The state dicts of a mapping by their keys, none but itself where it is one."""
    if _all_tensors(saved):
        return {"": saved}
    named = saved.items() if isinstance(saved, Mapping) else ()
    return {key: dict(value) for key, value in named if isinstance(key, str) and _all_tensors(value)}


def _all_tensors(value: Any) -> bool:
    import torch

    named = isinstance(value, Mapping) and value and all(isinstance(name, str) for name in value)
    return bool(named) and all(isinstance(item, torch.Tensor) for item in value.values())
