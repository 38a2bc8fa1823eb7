"""`edgebuild build`: bring bundles up to date and judge them."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import (
    Answer,
    cache_options,
    cluster_at,
    cluster_option,
    limit_options,
    limits,
    model_option,
    project_option,
    recipe_option,
    report_options,
    shared_at,
    target_option,
    verb,
    write_reports,
)


@verb("build")
@target_option
@model_option
@recipe_option
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Where bundles go; default: dist/.")
@cache_options
@cluster_option
@limit_options
@report_options
@project_option
def command(
    targets: tuple[str, ...],
    models: tuple[str, ...],
    recipe: str | None,
    jobs: int | None,
    output: Path | None,
    cache: str | None,
    cache_read_only: bool,
    cluster: str | None,
    step_memory: str,
    step_time: str,
    junit: Path | None,
    sarif: Path | None,
    markdown: Path | None,
    project: Path,
) -> Answer:
    """Build, judge and bundle models for targets.

    Only what changed is run again. Example: edgebuild --target rpi4 --target host
    """
    from edgebuild.report import judged, progress, summary
    from edgebuild.spec.evidence import EXIT_CODES, combine
    from edgebuild.spec.project import open_project
    from edgebuild.spec.surroundings import cores
    from edgebuild.verbs.build import build
    from edgebuild.verbs.request import Request

    allowed, place = limits(step_memory, step_time), shared_at(cache, cache_read_only)
    away = cluster_at(cluster, place)
    opened = open_project(project, output)
    request = Request(opened, targets, models, jobs or cores(), recipe, cache=place, cluster=away)
    with progress.display(sys.stderr) as events:
        outcomes, journal = build(request, events, allowed)
    write_reports(judged.of_build(outcomes, request.project), junit=junit, sarif=sarif, markdown=markdown)
    status = combine([outcome.status for outcome in outcomes])  # type: ignore[misc]
    document = summary.document(outcomes, journal, status)
    return Answer(document, lambda: summary.show(outcomes, journal), EXIT_CODES[status])
