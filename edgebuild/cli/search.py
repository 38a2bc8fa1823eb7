"""`edgebuild search`: find the recipe that passes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from edgebuild.cli._verb import (
    Answer,
    cache_options,
    cluster_at,
    cluster_option,
    limit_options,
    limits,
    project_option,
    shared_at,
    verb,
)

if TYPE_CHECKING:
    from edgebuild.engine.task import Limits
    from edgebuild.spec.cache import Place
    from edgebuild.spec.project import Project
    from edgebuild.verbs.request import Request


@verb("search")
@click.option("--target", "-t", required=True, help="The target whose gates must be passed.")
@click.option("--model", "-m", help="Model; needless where the project has one.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True)
@click.option("--trials", type=click.IntRange(min=1), default=200, show_default=True, help="Most recipes, in all runs.")
@click.option("--space", help="The recipes to choose from: a file, or a name in spaces/; default: the usual ones.")
@click.option("--apply", "number", type=int, help="Build this trial of the last search, and take it from now on.")
@click.option("--prove", is_flag=True, help="Build points of the last search from the safest on, as long as they pass.")
@click.option("--show", is_flag=True, help="Print what the last search came to, and search no more.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Where a bundle goes; default: dist/.")
@cache_options
@cluster_option
@limit_options
@project_option
def command(
    target: str,
    model: str | None,
    minutes: float,
    trials: int,
    space: str | None,
    number: int | None,
    prove: bool,
    show: bool,
    output: Path | None,
    cache: str | None,
    cache_read_only: bool,
    cluster: str | None,
    jobs: int | None,
    step_memory: str,
    step_time: str,
    project: Path,
) -> Answer:
    """Find the recipe that passes every gate at the least cost, by validation examples alone.

    It is stopped by Ctrl-C and goes on where it was. Its best recipe is what a target without one builds.
    Example: edgebuild search --target rpi4 --minutes 30
    """
    from edgebuild.report import searched, searched_plot, searching
    from edgebuild.spec.errors import UsageError
    from edgebuild.spec.project import open_project
    from edgebuild.spec.surroundings import cores
    from edgebuild.verbs import search
    from edgebuild.verbs import searched as last

    opened, allowed = open_project(project, output), limits(step_memory, step_time)
    place = shared_at(cache, cache_read_only)
    away = cluster_at(cluster, place)
    if number is not None and prove:
        raise UsageError("--apply builds one point, --prove several", key="--prove", hint="leave one of them out")
    if number is not None or prove:
        return _built(_request(opened, target, model, number, jobs or cores(), place, away), allowed)
    if show:
        result = last.look(opened, target, model)
    else:
        request = search.Request(opened, target, model, 60 * minutes, trials, space, jobs or cores(), place, away)
        with searching.display(sys.stderr) as watcher:
            result = search.run(request, watcher, allowed)
    plot = searched_plot.write(last.place(opened, result.target, result.model), result)
    return Answer(searched.document(result, plot), lambda: searched.show(result, plot), 0 if result.front else 1)


def _request(
    project: Project,
    target: str,
    model: str | None,
    trial: int | None,
    jobs: int,
    place: Place | None,
    away: str | None,
) -> Request:
    """For a trial of the last search, which builds take from now on; with none for whichever is proved."""
    from edgebuild.spec.target import SEARCHED
    from edgebuild.verbs import searched
    from edgebuild.verbs.request import Request

    look = searched.look(project, target, model)
    if trial is not None:
        searched.take(project, target, model, trial)
    return Request(project, (look.target,), (look.model,), jobs, SEARCHED, trial, place, away)


def _built(request: Request, allowed: Limits) -> Answer:
    """Build a trial of the last search like any recipe, or those that are to be proved one after another."""
    from edgebuild.report import progress, summary
    from edgebuild.spec.evidence import EXIT_CODES, combine
    from edgebuild.verbs.build import build
    from edgebuild.verbs.prove import prove

    with progress.display(sys.stderr) as events:
        outcomes, journal = (build if request.trial is not None else prove)(request, events, allowed)
    status = combine([outcome.verdicts.status for outcome in outcomes])
    return Answer(
        summary.document(outcomes, journal, status), lambda: summary.show(outcomes, journal), EXIT_CODES[status]
    )
