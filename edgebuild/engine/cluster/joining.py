"""The Dask worker around a machine's side of a cluster: joins a scheduler, and again when that comes back."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from distributed import Worker, WorkerPlugin

from edgebuild.engine.cluster import work
from edgebuild.engine.cluster.calling import quiet, unreachable
from edgebuild.engine.cluster.serving import Serving
from edgebuild.spec import documents

_CONNECT_SECONDS = 5.0
_LOOK_SECONDS = 0.3
_ALIVE = ("init", "starting", "running", "paused")


class Offer(Protocol):
    """Makes what a worker serves with, once its address is known."""

    def __call__(self, address: str) -> Serving:
        """It."""


class _Plugin(WorkerPlugin):  # type: ignore[misc]
    """How a function that Dask calls finds what it serves with: `get_worker().plugins`."""

    name = work.NAME

    def __init__(self, serving: Serving) -> None:
        """It is never sent anywhere."""
        self.serving = serving


def serve(address: str, offer: Offer, profile: work.Profile, tell: Callable[[str], None]) -> None:
    """Take work of the scheduler at `address` until this process is told to end, by SIGINT or SIGTERM.

    DeviceError where nothing answers at first; a scheduler that goes later is waited for.
    """
    quiet()
    asyncio.run(_serve(address, offer, profile, tell))


async def _serve(address: str, offer: Offer, profile: work.Profile, tell: Callable[[str], None]) -> None:
    ending, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    served: list[Serving] = []
    with tempfile.TemporaryDirectory(prefix="edgebuild-worker-", ignore_cleanup_errors=True) as folder:
        while not ending.is_set():
            try:
                worker = await _joined(address, profile, folder)
            except (OSError, TimeoutError, ValueError) as error:
                if not served:
                    raise unreachable(address, error) from None
                await _pause(ending)
                continue
            served.append(offer(worker.address))
            await worker.plugin_add(plugin=_Plugin(served[-1]), catch_errors=False)
            tell(f"worker {worker.address} of {address}: {profile.slots} steps side by side, {profile.shown}")
            while not ending.is_set() and worker.status.name in _ALIVE:
                await _pause(ending)
            if not ending.is_set():  # what runs is finished meanwhile, and sent to the cache
                tell(f"scheduler {address} is gone: waiting until it is back")
        with suppress(OSError, TimeoutError, UnboundLocalError):
            await worker.close(timeout=1, executor_wait=False)
        for each in served:
            each.stop()


async def _pause(ending: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(ending.wait(), _LOOK_SECONDS)


async def _joined(address: str, profile: work.Profile, folder: str) -> Worker:
    """A Dask worker that has joined; OSError or TimeoutError where it cannot."""
    text = documents.to_json(profile)
    return await Worker(
        address,
        nthreads=profile.slots,
        memory_limit=0,  # steps have limits of their own
        death_timeout=_CONNECT_SECONDS,
        startup_information={work.NAME: lambda worker: text},
        local_directory=folder,
        dashboard=False,
    )
