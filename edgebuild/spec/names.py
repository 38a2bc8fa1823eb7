"""Names: of plug-ins and their files, and in messages what somebody who wrote an unknown one probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from edgebuild.spec.errors import UsageError


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint that names what is close to `name`, and all that is known."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(names) or "none"
    return f"did you mean {close[0]!r}? known: {listed}" if close else f"known: {listed}"


def spelled(path: Path) -> Path:
    """The path; UsageError for one whose name is not UTF-8: what runs models opens none of these, and no document can
    have such a name.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError("has a name that is not UTF-8", file=str(path), hint="give it another name") from None
    return path


def class_name(name: str) -> str:
    """The class that a file holds: `prune_channels` → `PruneChannels`."""
    return "".join(word.capitalize() for word in name.split("_"))


def file_name(kind: type) -> str:
    """The name of a plug-in whose class this is: `PruneChannels` → `prune_channels`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
