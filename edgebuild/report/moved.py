"""What went into a registry or came from one, for people and for machines."""

from __future__ import annotations

from typing import Any

from edgebuild.spec import documents
from edgebuild.verbs.push import Moved


def document(moved: Moved) -> dict[str, Any]:
    """The bundle and its place as plain data."""
    plain: dict[str, Any] = documents.to_json(moved)
    return plain


def show(what: str, moved: Moved) -> None:
    """Print the bundle, and the digest that pins it."""
    print(f"{moved.bundle}: {what}, {moved.bytes} bytes; status: {moved.status}")
    print(moved.reference)
