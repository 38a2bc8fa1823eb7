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
from edgebuild.spec.data import Asked, Data, Loaded
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

    def load(self, asked: Asked) -> Loaded:
        """Call it; what it reads unnamed is noted."""
        from edgebuild.nn import opened
        from edgebuild.nn.model_code import ModelCode

        if asked.code is None:
            raise UsageError("no such file", file=f"{asked.origin}/model.py")
        code = ModelCode(asked.code, asked.origin)
        load = code.function(self.name, "data")
        asks = asked.reads and any(item.default is item.empty for item in inspect.signature(load).parameters.values())
        with opened.watched() as seen:
            returned: Any = load({read.name: read.value() for read in asked.reads}) if asks else load()
            if not isinstance(returned, Mapping):
                raise self._wrong(asked, f"returned {type(returned).__name__}, not a mapping of splits")
            splits = {name: self._settled(name, split, asked) for name, split in returned.items()}
        unnamed = self._unnamed(seen, asked, asked.code)
        return Loaded(splits, notes=unnamed, unnamed=bool(unnamed))

    def _settled(self, name: Any, split: Any, asked: Asked) -> Any:
        """A split as arrays: texts are prepared, examples one after another written down; else as it came."""
        texts = split[0] if isinstance(split, tuple) and len(split) == 2 and name != "unlabelled" else split
        if _texts.are(texts):
            prepared = _texts.inputs(texts, asked, partial(self._misdeclared, asked))
            return prepared if texts is split else (prepared, split[1])
        if name == "slices" or not _stream.streams(split) or asked.scratch is None:
            return split
        spool = _stream.inputs if name == "unlabelled" else _stream.pair
        return spool(str(name), split, asked, asked.scratch, partial(self._wrong, asked))

    def _wrong(self, asked: Asked, reason: str) -> UsageError:
        file, key = self.place(asked.origin)
        return UsageError(reason, file=file, key=key)

    def _misdeclared(self, asked: Asked, reason: str, key: str) -> UsageError:
        return UsageError(reason, file=f"{asked.origin}/model.toml", key=key)

    def place(self, origin: str) -> tuple[str, str]:
        """The function."""
        return f"{origin}/model.py", f"{self.name}()"

    def _unnamed(self, seen: set[str], asked: Asked, folder: Path) -> tuple[str, ...]:
        """A line on what it read and nobody declared."""
        from edgebuild.nn import opened

        declared = [file for read in asked.reads for file in read.files()]
        unknown = opened.outside(seen, [*declared, folder, *asked.own])
        names = sorted({Path(path).name for path in unknown})  # places differ between machines, an artifact must not
        if not names:
            return ()
        print(*unknown, sep="\n")
        line = f"{self.name}() read {spread.shown(names)}, which reads does not name"
        return (f"{line}: when they change, the data is not loaded anew",)
