"""What the pages show is taken by the product: commands, files in TOML, extras, benchmarks, variables, links."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.exceptions import NoArgsIsHelpError
from jsonschema import Draft202012Validator

import benchmarks.__main__ as benchmarked
from edgebuild.cli import root
from edgebuild.plan import schemas
from edgebuild.spec.cache import VARIABLE
from edgebuild.spec.project import open_project
from tests import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROJECT = open_project(ROOT)
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
OF_PAGES = pytest.mark.parametrize("page", PAGES, ids=IDS)
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAMED = {"target": PROJECT.target_files, "recipe": PROJECT.recipe_files, "model": PROJECT.model_folders}
_OWN = {"model"}  # what the pages call what is the reader's own


def blocks(page: Path, language: str) -> list[str]:
    """The texts of fenced blocks."""
    return [text for kind, text in _FENCED.findall(page.read_text()) if kind == language]


def inline(page: Path) -> list[str]:
    """What stands between backticks in the prose."""
    return re.findall(r"`([^`\n]+)`", _FENCED.sub("", page.read_text()))


def words(line: str) -> list[str]:
    """The arguments of edgebuild in a line of a shell, without variables before it and the comment behind."""
    return shlex.split(re.sub(r"^(?:[A-Z_0-9]+=\S+ )*edgebuild\b", "", line), comments=True)


def parsed(arguments: list[str]) -> dict[str, Any]:
    """The options of the verb at the end of a command line; click.UsageError for what it does not take."""
    command: Any = root
    context = command.make_context("edgebuild", [*arguments], resilient_parsing=False)
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return dict(context.params)
        name, command, rest = command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    return dict(context.params)


def shown(page: Path) -> Iterator[str]:
    """The command lines of a page's blocks."""
    for text in blocks(page, ""):
        yield from re.findall(r"^(?:[A-Z_0-9]+=\S+ )*edgebuild .*$", text, re.MULTILINE)


def check(arguments: list[str]) -> None:
    """That the command line is one, and that what it names is there."""
    try:
        options = parsed(arguments)
    except click.BadParameter as error:
        if "does not exist" not in error.message:  # files of the reader's own
            raise
        return
    for option, names in _NAMED.items():
        asked = options.get(f"{option}s", options.get(option)) or ()
        for name in asked if isinstance(asked, tuple) else (asked,):
            assert isinstance(name, Path) or name in {*names(), *_OWN}, f"--{option} {name}"


@OF_PAGES
def test_every_command_line_parses(page: Path) -> None:
    for line in shown(page):
        check(words(line))


@OF_PAGES
def test_every_command_in_the_prose_parses_as_far_as_it_is_said(page: Path) -> None:
    for text in inline(page):
        if re.match(r"(?:[A-Z_0-9]+=\S+ )*edgebuild [a-z-]", text):
            try:
                check(words(text))
            except (click.MissingParameter, NoArgsIsHelpError):
                continue  # a verb that is spoken of


@pytest.mark.parametrize(
    "line",
    [
        "edgebuild gate dist/rpi4/digits --target rpi4 --devise local",
        "edgebuild --target rpi4 --recipe fastets",
        "edgebuild bundle x",
        "X=1 edgebuild models chekc model",
    ],
)
def test_a_command_that_is_none_is_noticed(line: str) -> None:
    with pytest.raises((click.UsageError, AssertionError)):
        check(words(line))


_MODEL = {"description": "x", "builder": "build", "data": "load", "labels": ["a", "b"]}
_INPUTS = {"inputs": [{"name": "x", "shape": [4]}]}
_TARGET = tomllib.loads((ROOT / "targets" / "rpi4.toml").read_text())
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "model": (schemas.model(), _MODEL | _INPUTS),
    "target": (schemas.target(), _TARGET),
    "recipe": (schemas.recipe(), {"description": "x"}),
    "space": (schemas.space(), {"description": "x"}),
}


def kind_of(text: str, table: dict[str, Any]) -> str:
    """Which kind of file a block is of: the one that its first line names, or that has its keys. A model's recipe is a
    name.
    """
    if folder := re.match(r"# (target|model|recipe|space)s/", text):
        return folder[1]
    if not isinstance(table.get("recipe", ""), str):
        return "target"
    (kind,) = [name for name, (schema, _) in KINDS.items() if table.keys() <= schema["properties"].keys()][:1]
    return kind


def completed(kind: str, table: dict[str, Any]) -> dict[str, Any]:
    """The block with what else such a file must have, as it stands beside it."""
    base = dict(KINDS[kind][1])
    if kind == "model" and table.keys() & {"source", "base"}:
        base.pop("builder")
    if kind == "target" and "hardware" in table:
        table = table | {"hardware": base["hardware"] | table["hardware"]}
    return base | table


def variants(text: str) -> Iterator[str]:
    """A block, and for each line that is commented out the block with it, in the place of those of its keys."""
    yield text
    for line in re.findall(r"^# \w+ = .*$", text, re.MULTILINE):
        before, _, after = text.partition(line)
        own = before.rfind("\n[") + 1  # where the line's table begins
        pairs = re.split(r", (?=\w+ = )", re.sub(r" +#.*| \(.*|, seed$|; .*", "", line.removeprefix("# ")))
        keys = "|".join(pair.partition(" = ")[0] for pair in pairs)
        others = re.sub(rf"^(?:{keys}) = .*\n", "", before[own:], flags=re.MULTILINE)
        if pairs[0].startswith("use = ") and others.startswith("[data]"):
            others = "[data]"  # another kind has other keys
        yield "\n".join([before[:own], others, *pairs, after])


@OF_PAGES
def test_every_file_in_toml_is_one(page: Path) -> None:
    for text in blocks(page, "toml"):
        for variant in variants(text):
            table = tomllib.loads(variant)
            kind = kind_of(text, table)
            errors = Draft202012Validator(KINDS[kind][0]).iter_errors(completed(kind, table))
            assert [error.message for error in errors] == [], variant


@OF_PAGES
def test_what_is_to_be_installed_or_measured_is_there(page: Path) -> None:
    text = page.read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = {name for names in re.findall(r"edgebuild\[([\w,]+)\]", text) for name in names.split(",")}
    assert asked <= extras.keys()
    assert {*re.findall(r"python -m benchmarks (\w+)", text)} <= {*benchmarked.names()}


@pytest.fixture(scope="module")
def variables() -> set[str]:
    """Of the environment, as the code names them; those of the remote cache are put together from its prefix."""
    texts = [path.read_text() for folder in ("edgebuild", "models") for path in (ROOT / folder).rglob("*.*y")]
    texts += [path.read_text() for path in ROOT.glob("models/*/model.toml")]
    names = {name for text in texts for name in re.findall(r"\bEDGEBUILD_\w+", text)}
    return names | {f"{VARIABLE}{ending}" for text in texts for ending in re.findall(r"\{VARIABLE\}(_\w+)", text)}


@OF_PAGES
def test_every_variable_is_looked_at(page: Path, variables: set[str]) -> None:
    assert {*re.findall(r"\bEDGEBUILD_[A-Z0-9_]*[A-Z0-9]\b", page.read_text())} <= variables


def anchors(page: Path) -> set[str]:
    """Of its headings, as code hosts name them."""
    titles = re.findall(r"^#+ (.*)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    own = re.findall(r'<a id="([^"]+)">', page.read_text())
    return {*own, *(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)}


@OF_PAGES
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", _FENCED.sub("", page.read_text())):
        name, _, anchor = link.partition("#")
        there = (page.parent / name) if name else page
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link
