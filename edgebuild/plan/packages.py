"""Says in one line which packages a plan lacks, before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import metadata

from edgebuild.engine import keys
from edgebuild.spec.errors import UsageError


def need(names: Iterable[str], what: str, *, file: str, key: str | None, extra: str | None = None) -> None:
    """UsageError unless all distributions are installed; `extra` is the one of ours that brings them."""
    missing = [name for name in names if keys.version(name) == "absent"]
    if missing:
        hint = f"pip install '{f'edgebuild[{extra}]' if extra else ' '.join(missing)}'"
        if not extra and (meant := " ".join(filter(None, map(_meant, missing)))):
            hint = f"{meant} else {hint}"
        message = f"{what} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed"
        raise UsageError(message, file=file, key=key, hint=hint)


def _meant(name: str) -> str:
    """Which installed distribution was probably meant by a name: whoever fetches a misspelt one may get anything."""
    if modules := [each for each in metadata.packages_distributions().get(name, ()) if each != name]:
        return f"did you mean {modules[0]!r}, which has the module {name}?"
    installed = {each.name for each in metadata.distributions() if each.name} - {name}
    close = difflib.get_close_matches(name, sorted(installed), n=1, cutoff=0.75)
    return f"did you mean {close[0]!r}?" if close else ""
