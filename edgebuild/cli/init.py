"""`edgebuild init`: make a model of the project out of somebody's file, or of a network by its name."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, limit_options, limits, project_option, verb


@verb("init")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The model's name; default: the file's.")
@click.option("--data", type=click.Path(path_type=Path), help="Examples: see below.")
@click.option("--task", help="What its answers are (edgebuild tasks); default: as the labels look.")
@click.option("--labels", help="Names of all classes in order: a,b,c or a file with a line each.")
@click.option(
    "--shape", "shapes", multiple=True, help="Sizes that the file leaves open, as image=1,3,224,224 or ids=1,16:int64."
)
@click.option("--constant", "constants", multiple=True, help="An input that is always the same number, as sr=16000.")
@click.option("--mean", help="Of pixels in 0..1, subtracted: one number, or one a channel as 0.485,0.456,0.406.")
@click.option("--std", help="Of pixels in 0..1, divided by.")
@click.option("--size", help="Height and width of pictures, as 224 or 192,256.")
@click.option("--crop", type=float, help="Share of a picture's middle that is kept, such as 0.875; else stretched.")
@click.option(
    "--weights", help='Of a network by its name: its state dict (.pth, .safetensors), or "random" to train it.'
)
@click.option("--option", "options", multiple=True, help="Of a network by its name, as num_classes=10.")
@click.option(
    "--include", multiple=True, type=click.Path(path_type=Path), help="Of net.py:Net: a file or folder that it reads."
)
@click.option("--target", "-t", default="host", show_default=True, help="Profile for a project that has none.")
@limit_options
@project_option
def command(
    file: Path,
    name: str | None,
    data: Path | None,
    task: str | None,
    labels: str | None,
    shapes: tuple[str, ...],
    constants: tuple[str, ...],
    mean: str | None,
    std: str | None,
    size: str | None,
    crop: float | None,
    weights: str | None,
    options: tuple[str, ...],
    include: tuple[Path, ...],
    target: str,
    jobs: int | None,
    step_memory: str,
    step_time: str,
    project: Path,
) -> Answer:
    """Take a model file into the project, a network that timm, torchvision or transformers know by its name, or a class
    of an installed package or of a Python file: look at it, declare it, check it, name the next command.

    --data takes pictures or recordings in a folder a class, COCO, YOLO, .npz, .csv, .parquet, a folder that `datasets`
    saved, and recordings of sensors; what is guessed of it is said.

    Example: edgebuild init model.onnx --data pictures, or edgebuild init timm:efficientnet_lite0 --weights w.pth --data
    pictures, or edgebuild init net.py:Net --weights w.pth --option width=16 --shape image=1,3,32,32
    """
    from edgebuild.report import progress
    from edgebuild.report.init import document, show
    from edgebuild.spec import surroundings
    from edgebuild.spec.project import open_project
    from edgebuild.verbs import init

    sizes = _numbers("--size", size)
    wishes = init.Wishes(
        name,
        data,
        task,
        labels,
        shapes,
        _numbers("--mean", mean),
        _numbers("--std", std),
        (int(sizes[0]), int(sizes[-1])) if sizes else None,
        crop,
        weights,
        options,
        target,
        constants=constants,
        include=include,
    )
    ask = _ask if sys.stdin.isatty() and sys.stderr.isatty() else None
    allowed = limits(step_memory, step_time)
    opened = open_project(project)
    with progress.display(sys.stderr) as events:
        begun = init.run(opened, file, wishes, ask, jobs or surroundings.cores(), events, allowed)
    return Answer(document(begun), lambda: show(begun))


def _ask(flag: str, question: str) -> str:
    answer: str = click.prompt(f"{flag} ({question})", err=True)
    return answer


def _numbers(flag: str, text: str | None) -> tuple[float, ...] | None:
    from edgebuild.spec.errors import UsageError

    if text is None:
        return None
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"{text!r} is no number, and no numbers with commas between them", key=flag) from None
