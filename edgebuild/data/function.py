"""Examples that a function of the model's own code returns; what the name of a function in `data` stands for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.data import _stream, _texts
from edgebuild.spec import spread
from edgebuild.spec.data import Data, DataRequest, Loaded
from edgebuild.spec.errors import UsageError


@dataclass(frozen=True, slots=True)
class Function(Data):
    """It returns {"train": (x, labels), "test": (x, labels)} and what else `LoadData` takes. A split may also be any
    iterable, torch `Dataset` or `DataLoader` of (x, y), ((x1, x2), y) or mappings by name, which is kept as it comes.
    With `[preprocess]` of texts, x may be a list of these.
    `reads` of model.toml are what it reads outside the model's folder, and with a parameter it is given {name: path, or
    list of paths} of them.
    """

    name: Annotated[str, Field(description="function in model.py that returns the examples")]

    code: ClassVar[bool] = True
    prepares: ClassVar[bool] = True

    def load(self, request: DataRequest) -> Loaded:
        """Call it; what it reads unnamed is noted."""
        from edgebuild.nn import opened
        from edgebuild.nn.model_code import ModelCode

        if request.code is None:
            raise UsageError("no such file", file=f"{request.origin}/model.py")
        code = ModelCode(request.code, request.origin)
        load = code.function(self.name, "data")
        asks = request.reads and any(item.default is item.empty for item in inspect.signature(load).parameters.values())
        with opened.watched() as seen:
            returned: Any = load({read.name: read.value() for read in request.reads}) if asks else load()
            if not isinstance(returned, Mapping):
                raise self._wrong(request, f"returned {type(returned).__name__}, not a mapping of splits")
            splits = {name: self._settled(name, split, request) for name, split in returned.items()}
        unnamed = self._unnamed(seen, request, request.code)
        return Loaded(splits, notes=unnamed, unnamed=bool(unnamed))

    def _settled(self, name: Any, split: Any, request: DataRequest) -> Any:
        """A split as arrays: texts are prepared, examples one after another written down; else as it came."""
        texts = split[0] if isinstance(split, tuple) and len(split) == 2 and name != "unlabelled" else split
        if _texts.are(texts):
            prepared = _texts.inputs(texts, request, partial(self._misdeclared, request))
            return prepared if texts is split else (prepared, split[1])
        if name == "slices" or not _stream.streams(split) or request.scratch is None:
            return split
        spool = _stream.inputs if name == "unlabelled" else _stream.pair
        return spool(str(name), split, request, request.scratch, partial(self._wrong, request))

    def _wrong(self, request: DataRequest, reason: str) -> UsageError:
        file, key = self.place(request.origin)
        return UsageError(reason, file=file, key=key)

    def _misdeclared(self, request: DataRequest, reason: str, key: str) -> UsageError:
        return UsageError(reason, file=f"{request.origin}/model.toml", key=key)

    def place(self, origin: str) -> tuple[str, str]:
        """The function."""
        return f"{origin}/model.py", f"{self.name}()"

    def _unnamed(self, seen: set[str], request: DataRequest, folder: Path) -> tuple[str, ...]:
        """A line on what it read and nobody declared."""
        from edgebuild.nn import opened

        declared = [file for read in request.reads for file in read.files()]
        unknown = opened.outside(seen, [*declared, folder, *request.own])
        names = sorted({Path(path).name for path in unknown})  # places differ between machines, an artifact must not
        if not names:
            return ()
        print(*unknown, sep="\n")
        line = f"{self.name}() read {spread.shown(names)}, which reads does not name"
        return (f"{line}: when they change, the data is not loaded anew",)
