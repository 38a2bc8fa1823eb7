"""Prints what became of a file that was taken in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edgebuild.report import check
from edgebuild.verbs.init import Begun


def document(begun: Begun) -> dict[str, Any]:
    """The same as plain data."""
    return asdict(begun) | {"next": following(begun)}


def show(begun: Begun) -> None:
    """What was written, what was guessed, what the check saw, and the next command."""
    print(f"wrote       {begun.folder}/model.toml")
    for guess in begun.guesses:
        print(f"guessed     {guess}")
    if begun.checked is not None:
        check.show(begun.checked)
    else:
        print(f"next        {following(begun)}")


def following(begun: Begun) -> str:
    """What to do next."""
    if begun.checked is not None:
        return check.following(begun.checked)
    return f"{begun.todo}, then: edgebuild models check {begun.model}"
