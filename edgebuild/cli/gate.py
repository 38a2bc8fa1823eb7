"""`edgebuild gate`: judge a finished bundle on a device, and promote a candidate that passes."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import (
    Answer,
    cache_options,
    limit_options,
    limits,
    project_option,
    report_options,
    shared_at,
    verb,
    write_reports,
)


@verb("gate")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--target", "-t", required=True, help="The target whose gates judge.")
@click.option("--against", help="An earlier release: the name of a baseline, or the folder of one or of a bundle.")
@click.option("--device", help="Another device than the target's, such as local or ssh://pi@host.")
@click.option("--withdraw", is_flag=True, help="A bundle that fails is no longer released.")
@click.option("--baselines", type=click.Path(path_type=Path), help="Where baselines are; default: baselines/.")
@cache_options
@limit_options
@report_options
@project_option
def command(
    bundle: Path,
    target: str,
    against: str | None,
    device: str | None,
    withdraw: bool,
    baselines: Path | None,
    cache: str | None,
    cache_read_only: bool,
    jobs: int | None,
    step_memory: str,
    step_time: str,
    junit: Path | None,
    sarif: Path | None,
    markdown: Path | None,
    project: Path,
) -> Answer:
    """Measure a bundle's file again, on the device that counts, and judge it by every gate of the target.

    A candidate that passes is released. One that fails stays as it is, unless --withdraw is given; the evidence is
    kept beside the bundle. What was measured before an interruption is not measured again.
    Example: edgebuild gate dist/rpi4/digits --target rpi4 --device ssh://pi@pi.local
    """
    from edgebuild.bundle.baselines import FOLDER
    from edgebuild.report import judged, progress, summary
    from edgebuild.report.gate import show
    from edgebuild.spec import documents
    from edgebuild.spec.evidence import EXIT_CODES
    from edgebuild.spec.project import open_project
    from edgebuild.spec.surroundings import cores
    from edgebuild.verbs import gate

    opened = open_project(project)
    folder = baselines or opened.root / FOLDER
    allowed, side_by_side = limits(step_memory, step_time), jobs or cores()
    place = shared_at(cache, cache_read_only)
    request = gate.Request(opened, bundle.absolute(), target, folder, against, device, withdraw, side_by_side, place)
    with progress.display(sys.stderr) as events:
        result, journal = gate.gate(request, events, allowed)
    write_reports(judged.of_gate(result, opened), junit=junit, sarif=sarif, markdown=markdown)
    document = result.to_json() | {"ran": documents.to_json(journal.ran), "reused": journal.reused}
    document |= {"fetched": journal.fetched_steps, "cache": summary.cache(journal)}
    return Answer(document, lambda: show(result), EXIT_CODES[result.status])
