"""Says in one line which packages a plan lacks, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable

from edgebuild.engine import keys
from edgebuild.spec.errors import UsageError


def need(names: Iterable[str], what: str, *, file: str, key: str | None, extra: str | None = None) -> None:
    """UsageError unless all distributions are installed; `extra` is the one of ours that brings them."""
    missing = [name for name in names if keys.version(name) == "absent"]
    if missing:
        hint = f"pip install '{f'edgebuild[{extra}]' if extra else ' '.join(missing)}'"
        message = f"{what} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed"
        raise UsageError(message, file=file, key=key, hint=hint)
