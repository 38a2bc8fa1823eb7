"""A worker as `edgebuild worker` is one, whose steps are forked without torch: `python -m`, scheduler, cache, store.

Every step's process imports this module as its main one: nothing of Dask is imported at its top.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path


def main(address: str, url: str, folder: str, slots: str = "1") -> None:
    from edgebuild.devices.jobs.turns import Machine, turn
    from edgebuild.engine import worker
    from edgebuild.engine.cluster import joining, work
    from edgebuild.engine.cluster.serving import Serving
    from edgebuild.engine.store import Store
    from edgebuild.engine.task import Limits
    from edgebuild.spec.cache import place

    worker.preload(("tests.engine.toys",))
    where, store = place(url, read_only=False), Store(Path(folder))
    assert where is not None
    own = partial(turn, alone=False)
    profile = work.profile(where.shown, int(slots))
    limits = Limits(seconds=60.0)
    try:
        joining.serve(address, lambda name: Serving(name, store, where, Machine, own, limits), profile, print_)
    finally:
        store.close()


def print_(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
