"""What a quantizer raises about a file that it cannot take, as one line: the operator, the reason, and what helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from edgebuild.spec.errors import EdgebuildError, UsageError, exhausted

Node = Callable[[TracebackType | None], str]
_HINT = (
    'name that layer in the step\'s keep, or with operators = "layers" leave all but layers float; '
    "its log has all that was said"
)


@contextmanager
def of(tool: str, doing: str, node: Node = lambda _: "") -> Iterator[None]:
    """A UsageError in the place of whatever the `tool` raises while it is `doing` something with the file.

    `node` finds the operator in the traceback, where the message need not name it; "" where it is not known.
    """
    try:
        yield
    except EdgebuildError:
        raise
    except Exception as error:  # each of these tools raises classes of its own
        if exhausted(error):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        place = node(error.__traceback__)
        at = f" at {place}" if place and place not in lines[:1] else ""
        message = f"{tool} fails in {doing}{at}: {lines[0] if lines else type(error).__name__}"
        raise UsageError(message, hint=_HINT) from error
