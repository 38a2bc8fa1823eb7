"""`edgebuild inspect`: what a model file is, and what can be done with it."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, limits, step_limits, verb


@verb("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@step_limits
def command(file: Path, step_memory: str, step_time: str) -> Answer:
    """Say what a model file is: inputs, outputs, operators, parameters, what works on it.

    No project is needed, and nothing in the file is run. Example: edgebuild inspect model.onnx
    """
    from edgebuild.engine.apart import Patience
    from edgebuild.report import progress
    from edgebuild.report.inspect import document, show
    from edgebuild.verbs import inspect

    allowed = limits(step_memory, step_time)
    with progress.display(sys.stderr) as events:
        inspected = inspect.run(file, Patience(allowed, events.waiting))
    return Answer(document(inspected), lambda: show(inspected))
