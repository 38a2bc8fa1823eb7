"""The operators of a file beside its counted work: each of them is a parallel region where threads share it."""

from __future__ import annotations

from dataclasses import replace

from edgebuild.spec.evidence import Counted
from edgebuild.spec.format import Format


def with_operators(counted: Counted, kind: type[Format], content: bytes) -> Counted:
    """`counted` with the number of operators that the runtime of this format executes of the file."""
    return replace(counted, operators=float(len(kind().work(content))))
