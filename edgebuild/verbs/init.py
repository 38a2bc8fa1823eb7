"""Makes a model of a project out of somebody's file: looks at it, guesses what can be guessed, asks for the rest."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.engine.apart import Patience
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_model
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.project import Project
from edgebuild.spec.target import USUAL
from edgebuild.verbs import check, inspect
from edgebuild.verbs.drafting import draft, named
from edgebuild.verbs.drafting.interview import Ask, Interview, Wishes
from edgebuild.verbs.drafting.script import Script

if TYPE_CHECKING:
    from edgebuild.engine.task import Limits
    from edgebuild.nn.network import Network
    from edgebuild.verbs.inspect import Inspected
    from edgebuild.verbs.journal import Listener

__all__ = ["Ask", "Begun", "Wishes", "run"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Begun:
    """The folder that was made, what was guessed, and what the check saw; None where code is yet to be written."""

    folder: str
    model: str
    guesses: tuple[str, ...]
    checked: check.Checked | None
    todo: str | None


def run(
    project: Project, file: Path, wishes: Wishes, ask: Ask | None, jobs: int, events: Listener, limits: Limits
) -> Begun:
    """Write `models/<name>/`, checked before it is put there; UsageError names the flag for what cannot be guessed.

    `file` may be a network by its name, such as timm:resnet18 or net.py:Net; its weights are those that are wished.
    `ask` gets an answer from somebody at a terminal; None where nobody is there.
    """
    patience = Patience(limits, events.waiting)
    network = named.asked(str(file), wishes.options, wishes.include)
    if network is None:
        inspected, copied, stem = inspect.run(file, patience), [file], file.stem
    else:
        inspected, copied, stem = *_of_name(network, wishes, patience), network.name.rpartition(":")[2]
    name = wishes.name or _folder_name(stem)
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a folder: letters, digits, - and _", key="--name")
    place = project.root / "models" / name
    if place.exists() or place.is_symlink():
        hint = "name another with --name, or take it away"
        raise UsageError("is there already", file=project.shown(place), hint=hint)
    targets = _targets(project, wishes.target)
    interview = Interview(
        project, next(iter(copied), file), name, inspected, wishes, ask, network=network, patience=patience
    )
    text, code = draft.text(interview), draft.code(interview)
    with _staged(place) as staging:
        for each in copied:
            _copy(each, staging / each.name)
        if isinstance(network, Script):
            for each in network.beside():
                _copy(each, staging / each.relative_to(network.path.parent))
        for beside in inspected.look.beside:
            (staging / beside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.parent / beside, staging / beside)
        (staging / "model.toml").write_text(text, encoding="utf-8")
        if code is not None:
            (staging / "model.py").write_text(code, encoding="utf-8")
        shown = project.shown(place / "model.toml")
        model = read_model(staging, shown)
        model = ModelSpec(name, staging, shown, model.declared, drafted=place.name)
        checked = None
        unwritten = code is not None and network is None
        if not unwritten:
            checked = _checked(project, model, wishes, jobs, events, limits)
            checked = _with_recipe(checked, staging / "model.toml")
        os.rename(staging, place)
    targets()
    todo = f"write build() in {project.shown(place / 'model.py')}" if unwritten else None
    return Begun(project.shown(place), name, tuple(interview.guesses), checked, todo)


def _checked(
    project: Project, model: ModelSpec, wishes: Wishes, jobs: int, events: Listener, limits: Limits
) -> check.Checked:
    """UsageError for the first thing that is wrong, which says that the file is a draft: nobody will find it there."""
    try:
        return check.run(project, model, project.target(wishes.target), jobs, events, limits)
    except UsageError as error:
        if error.file is None or not error.file.startswith(f"{model.origin}/"):
            raise
        raise UsageError(error.reason, file=f"draft of {error.file}", key=error.key, hint=error.hint) from None


def _with_recipe(checked: check.Checked, file: Path) -> check.Checked:
    """Write down the recipe that takes the model, so that a build need not be told, where it is not the usual one."""
    if checked.recipe in (None, USUAL):
        return checked
    description, rest = file.read_text(encoding="utf-8").split("\n", 1)
    file.write_text(f"{description}\n{draft.recipe(str(checked.recipe))}\n{rest}", encoding="utf-8")
    return replace(checked, declared=checked.recipe)


def _copy(path: Path, place: Path) -> None:
    """A file, or a folder with all that it holds."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, place, dirs_exist_ok=True)
    else:
        shutil.copyfile(path, place)


def _of_name(network: Network | Script, wishes: Wishes, patience: Patience) -> tuple[Inspected, list[Path]]:
    """What is known of a network, and the file of its weights, if it has any."""
    if wishes.weights is None:
        hint = f'a .safetensors or .pth file with its state dict, or "{named.RANDOM}" to train it from nothing'
        reason = "is missing: nothing is downloaded"
        raise UsageError(reason, file=named.shown(network), key="--weights", hint=hint)
    files = [] if wishes.weights == named.RANDOM else [Path(wishes.weights)]
    return named.inspected(network, wishes.weights, patience), files


def _folder_name(stem: str) -> str:
    """What a folder may be called, as near to the name of a file as may be: accents are left out."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", stem) if not unicodedata.combining(one))
    return re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-_") or "model"


@contextmanager
def _staged(place: Path) -> Iterator[Path]:
    """A folder beside the place, so that paths from it are those from there; gone afterwards, and so is `models/` where
    it was made for this and nothing was put there.
    """
    staging = place.with_name(f".{place.name}.{os.getpid()}")
    above = not place.parent.exists()
    try:
        staging.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", file=str(place.parent)) from None
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if above and not any(place.parent.iterdir()):
            place.parent.rmdir()


def _targets(project: Project, name: str) -> Callable[[], None]:
    """What copies the profile into the project where it has none of its own; UsageError for an unknown one now."""
    project.target(name)
    source, place = project.target_files()[name], project.root / "targets"

    def copy() -> None:
        if not place.exists():
            place.mkdir()
            shutil.copyfile(source, place / source.name)

    return copy
