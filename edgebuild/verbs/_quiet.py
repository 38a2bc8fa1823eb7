"""Keeps what runtimes and somebody's code print off the terminal and out of JSON: also what is written past Python, to
the process's own streams.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from edgebuild.spec.surroundings import QUIET


@contextmanager
def runtimes_silent() -> Iterator[None]:
    """Both streams lead nowhere meanwhile, for what is written in C too; errors are exceptions all the same."""
    os.environ.update(QUIET)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            for number in kept:
                os.dup2(nowhere.fileno(), number)
            yield
    finally:
        for number, own in kept.items():
            os.dup2(own, number)
            os.close(own)
