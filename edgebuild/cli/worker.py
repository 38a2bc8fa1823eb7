"""`edgebuild worker`: run steps for the builds of other machines."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, cache_options, carrying, limit_options, limits, shared_at, verb


@verb("worker")
@click.argument("scheduler", metavar="tcp://HOST:PORT")
@click.option("--store", type=click.Path(path_type=Path), help="Where results are kept; default: in your cache folder.")
@cache_options
@limit_options
def command(
    scheduler: str,
    store: Path | None,
    cache: str | None,
    cache_read_only: bool,
    jobs: int | None,
    step_memory: str,
    step_time: str,
) -> Answer:
    """Run steps for builds that name the same scheduler and the same cache, until it is stopped.

    Example: edgebuild worker tcp://scheduler:8786 --cache http://cache:8080/edge
    """
    from edgebuild.spec.cluster import address
    from edgebuild.spec.surroundings import cores
    from edgebuild.verbs.worker import Request, default_store, serve

    allowed, place = limits(step_memory, step_time), shared_at(cache, cache_read_only)
    where = address(scheduler, "SCHEDULER")
    request = Request(where, carrying(place), (store or default_store()).absolute(), jobs or cores())
    serve(request, allowed, lambda line: print(f"edgebuild: {line}", file=sys.stderr, flush=True))
    return Answer({"scheduler": where}, lambda: print("stopped; what was finished is in the store and the cache"))
