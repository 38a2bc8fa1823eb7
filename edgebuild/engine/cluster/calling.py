"""What both ends have to do with Dask itself: the one function that is called, and how little of Dask a user hears."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, Protocol

from distributed import get_worker
from distributed.versions import VersionMismatchWarning

from edgebuild.engine.cluster import work
from edgebuild.spec.errors import DeviceError

_LOGGING = ("distributed", "tornado", "asyncio")


class Answering(Protocol):
    """Who has joined a worker to edgebuild."""

    def answer(self, text: str, tell: Callable[[str, str], None]) -> str:
        """What came of the work that is written in `text`; `tell` gets a topic and news."""


def perform(text: str) -> str:
    """What is called on a worker: the answer to the work that is written in `text`."""
    here: Any = get_worker()
    serving: Answering = here.plugins[work.NAME].serving
    return serving.answer(text, here.log_event)


def quiet() -> None:
    """Dask tells in its log of every connection that it loses; what matters of that we tell in a line.

    Nor does it warn of versions that differ: those that matter are in keys, and compared.
    """
    warnings.filterwarnings("ignore", category=VersionMismatchWarning)
    for name in (*_LOGGING, *logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LOGGING:  # each has a level of its own
            logging.getLogger(name).setLevel(logging.CRITICAL)


def unreachable(address: str, error: Exception) -> DeviceError:
    """One line for a scheduler that does not answer."""
    hint = f"start one: dask scheduler --port {address.rpartition(':')[2]}"
    return DeviceError(f"the scheduler {address} does not answer: {_plainly(error)}", key="--cluster", hint=hint)


def _plainly(error: Exception) -> str:
    """What the system said, without the layers around it."""
    cause: BaseException = error
    while (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    text = str(cause) or type(cause).__name__
    return text if len(text) < 120 else type(cause).__name__
