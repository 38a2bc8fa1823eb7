"""How what people have (pictures, recordings, texts) becomes a model's input: declared once, followed everywhere.

One file a kind, and beside it `travels/prepare_<kind>.py`, numpy alone, which data is prepared by and bundles carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from edgebuild.spec.preprocess._base import Pixels
from edgebuild.spec.preprocess.image import ImageInput
from edgebuild.spec.preprocess.mel import MelInput
from edgebuild.spec.preprocess.window import WindowInput
from edgebuild.spec.preprocess.wordpiece import WordpieceInput

__all__ = ["ImageInput", "MelInput", "Pixels", "Preprocess", "WindowInput", "WordpieceInput"]


def _kind_of(declared: Any) -> str:
    """The tag of a table; without `kind` it is about pictures, and so is refused what is no table."""
    kind = declared.get("kind", "image") if isinstance(declared, Mapping) else getattr(declared, "kind", "image")
    return f"[{kind}]"


Preprocess = Annotated[
    Annotated[ImageInput, Tag("[image]")]
    | Annotated[MelInput, Tag("[mel]")]
    | Annotated[WordpieceInput, Tag("[wordpiece]")]
    | Annotated[WindowInput, Tag("[window]")],
    Discriminator(_kind_of),
]
