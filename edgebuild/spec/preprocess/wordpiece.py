"""Texts as a model's inputs: numbers of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from annotated_types import Ge
from pydantic import ConfigDict, Field

from edgebuild.spec.fields import STRICT, Inside
from edgebuild.spec.preprocess._base import Prepares
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class WordpieceInput(Prepares):
    """How a text becomes the model's inputs: numbers of WordPiece tokens (BERT's), padded to `length`.

    `vocabulary` has a token a line. With `mask` an input says which tokens are no padding, with `types` one is all 0.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    what: ClassVar[str] = "text"

    kind: Literal["wordpiece"]
    vocabulary: Inside
    length: Annotated[int, Ge(3), Field(description="tokens, with [CLS] and [SEP]; longer texts are cut")]
    lower_case: Annotated[bool, Field(description="also strips accents, as BERT's uncased vocabularies need")] = True
    ids: Annotated[str, Field(description="the input of the tokens' numbers")] = "input_ids"
    mask: Annotated[str | None, Field(description="the input that is 1 for tokens, 0 for padding")] = "attention_mask"
    types: Annotated[str | None, Field(description="the input of token types, all 0")] = None

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs that it makes."""
        return tuple(name for name in (self.ids, self.mask, self.types) if name is not None)

    @property
    def stored(self) -> tuple[tuple[int, ...], str]:
        """Numbers that a vocabulary has."""
        return (self.length,), "int32"

    def places(self, inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
        """Those that it names."""
        known = {spec.name: place for place, spec in enumerate(inputs)}
        for name in self.names:
            if name not in known:
                raise ValueError(f"preprocess makes the input {name!r}; inputs has {', '.join(known)}")
            spec = inputs[known[name]]
            if prod(spec.shape) != self.length or spec.shape[-1:] != (self.length,):
                raise ValueError(f"preprocess makes {name!r} of shape {[self.length]}; inputs says {[*spec.shape]}")
        return tuple(known[name] for name in self.names)

    def reads(self) -> Mapping[str, str]:
        """The vocabulary."""
        return {"preprocess.vocabulary": self.vocabulary}

    def read(self, path: Path) -> Any:
        """The whole text of a file."""
        return path.read_text(encoding="utf-8")

    def fit(self, one: Any) -> tuple[Array, ...]:
        """A text as its numbers, int32 [length], and what else is asked for."""
        from edgebuild.travels import prepare_wordpiece

        return tuple(prepare_wordpiece.fit(str(one), asdict(self)))

    def json(self) -> dict[str, Any]:
        """All fields, and the names of the inputs in the order in which they are made."""
        return asdict(self) | {"names": list(self.names)}

    def with_file(self, path: str) -> Self:
        """With the vocabulary there."""
        return replace(self, vocabulary=path)
