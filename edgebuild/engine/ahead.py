"""Imported by the fork server alone: it imports what workers are forked with, silently, since no step asked for it.

A worker would then import the program that started the build, as if steps were part of it. None is, so the server
says that it is that program: each step is spared what the command line takes.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edgebuild.spec.surroundings import AHEAD, PROGRAM


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing reaches standard output or error: compiled code writes there as well."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        kept = [(stream, os.dup(stream)) for stream in (1, 2)]
        for stream, _ in kept:
            os.dup2(nowhere.fileno(), stream)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, before in kept:
                os.dup2(before, stream)
                os.close(before)


sys.excepthook = lambda *_: None  # whoever asks a server that is gone says so; it has no words of its own
if program := os.environ.get(PROGRAM):  # a module without a file has no such attribute, and inspect relies on that
    sys.modules["__main__"].__file__ = program
# What is imported stays: no collection looks through it, neither here nor in workers, which would copy its memory.
gc.disable()
with _silent():
    for each in os.environ.get(AHEAD, "").split(","):
        with suppress(ImportError, ValueError):
            importlib.import_module(each)
gc.freeze()
gc.enable()
