"""`edgebuild bench`: how fast any model file is on a target's device."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, project_option, verb


@verb("bench")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", "-t", required=True, help="The target whose devices measure.")
@click.option("--device", help="Another device, such as local or ssh://pi@host.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of the runtime.")
@project_option
def command(model: Path, target: str, device: str | None, threads: int, project: Path) -> Answer:
    """Measure a .tflite or .onnx file, with or without a project.

    Example: edgebuild bench model.tflite --target rpi4
    """
    from edgebuild import benching
    from edgebuild.report import bench
    from edgebuild.spec.project import open_project

    found = benching.run(model, open_project(project).target(target), device, threads)
    return Answer(asdict(found), lambda: bench.show(found))
