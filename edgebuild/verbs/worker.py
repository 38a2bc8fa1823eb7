"""A machine that runs steps for builds elsewhere: a store of its own, a cache that all share, a scheduler to join."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.spec.cache import Place
from edgebuild.spec.errors import DeviceError
from edgebuild.verbs import preloading


@dataclass(frozen=True, slots=True)
class Request:
    """Which scheduler to join, the cache that is shared, where the store is, how many steps may run side by side."""

    address: str
    cache: Place
    store: Path
    slots: int


def serve(request: Request, limits: Limits, tell: Callable[[str], None]) -> None:
    """Take work until this process is told to end; DeviceError where there is no scheduler, or Dask is lacking."""
    from edgebuild.devices.jobs.turns import Machine, turn
    from edgebuild.engine.cluster import work

    try:
        from edgebuild.engine.cluster import joining
        from edgebuild.engine.cluster.serving import Serving
    except ImportError as error:
        hint = "pip install 'edgebuild[cluster]'"
        raise DeviceError(f"distributed is not installed: {error}", hint=hint) from None
    request.cache.open().close()  # what can be no cache is told before anybody sends anything
    preloading.preload_all()
    store = Store(request.store)
    try:
        profile = work.profile(request.cache.shown, request.slots)
        own = partial(turn, alone=False)
        offer = lambda address: Serving(address, store, request.cache, Machine, own, limits)  # noqa: E731
        joining.serve(request.address, offer, profile, tell)
    finally:
        store.close()


def default_store() -> Path:
    """One a user, beside the emulator; EDGEBUILD_STORE names another place."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("EDGEBUILD_STORE") or home / "edgebuild" / "worker")
