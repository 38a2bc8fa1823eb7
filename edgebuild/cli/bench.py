"""`edgebuild bench`: how fast any model file is on a target's device."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, project_option, verb


@verb("bench")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", "-t", required=True, help="The target whose devices measure.")
@click.option("--device", help="Another device, such as local or ssh://pi@host.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of the runtime.")
@click.option("--shape", "shapes", multiple=True, help="The shape of an input, as image=1,3,48,192; may be repeated.")
@click.option("--inputs", type=click.Path(path_type=Path), help="An .npz with an array for each input, by its name.")
@project_option
def command(
    model: Path,
    target: str,
    device: str | None,
    threads: int,
    shapes: tuple[str, ...],
    inputs: Path | None,
    project: Path,
) -> Answer:
    """Measure a .tflite or .onnx file, with or without a project.

    It is fed random values of its own shapes; dimensions that it leaves open, but for the batch, must be named.
    Example: edgebuild bench model.tflite --target rpi4
    """
    from edgebuild.report.bench import show
    from edgebuild.spec import waiting
    from edgebuild.spec.project import open_project
    from edgebuild.verbs import bench

    with waiting.heard_by(_tell):
        result = bench.run(model, open_project(project).target(target), device, threads, bench.Feed(shapes, inputs))
    return Answer(asdict(result), lambda: show(result))


def _tell(what: str | None) -> None:
    if what is not None:
        print(f"wait  {what}", file=sys.stderr, flush=True)
