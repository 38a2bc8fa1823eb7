"""Keeps what runtimes print for themselves off the terminal: they write past Python, to the process's own streams."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edgebuild.spec.surroundings import QUIET


@contextmanager
def runtimes_silent() -> Iterator[None]:
    """Standard error leads nowhere meanwhile, for what is written in C too; errors are exceptions all the same."""
    os.environ.update(QUIET)
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
