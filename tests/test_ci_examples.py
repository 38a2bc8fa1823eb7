"""The example workflows: valid YAML with what the hosts require, and every command of ours parses."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from edgebuild.cli import root

FOLDER = Path(__file__).parent.parent / "docs" / "ci"
FILES = sorted(FOLDER.glob("*.yml"))


def load(name: str) -> dict[Any, Any]:
    found = yaml.safe_load((FOLDER / name).read_text())
    assert isinstance(found, dict)
    return found


def commands(text: str) -> list[list[str]]:
    """The argument vectors of all lines that start our command."""
    lines = re.findall(r"^\s*(?:- |run: |- run: )?(edgebuild .*)$", text, re.MULTILINE)
    return [shlex.split(re.split(r"\|\||>", line)[0])[1:] for line in lines]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_command_parses(path: Path) -> None:
    found = commands(path.read_text())
    assert {arguments[0] for arguments in found} >= {"build", "baseline", "gate", "verify"}
    for verb, *arguments in found:
        command = root.get_command(click.Context(root), verb)  # type: ignore[attr-defined]
        assert command is not None, verb
        command.make_context(verb, list(arguments))  # raises for what it does not take


def test_a_command_that_does_not_parse_is_noticed() -> None:
    ((verb, *arguments),) = commands("  - edgebuild gate dist/rpi4/digits --target rpi4 --devise local || true")
    with pytest.raises(click.UsageError, match="devise"):
        root.get_command(click.Context(root), verb).make_context(verb, arguments)  # type: ignore[attr-defined]


def test_the_github_workflow_has_what_github_requires() -> None:
    found = load("github-actions.yml")
    assert found.keys() >= {"name", True, "jobs"}  # YAML 1.1 reads `on` as true
    for job in found["jobs"].values():
        assert job["runs-on"]
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])
        assert {*job.get("needs", "").split()} <= found["jobs"].keys()


def test_the_gitlab_pipeline_has_what_gitlab_requires() -> None:
    found = load("gitlab-ci.yml")
    jobs = {name: job for name, job in found.items() if name != "stages"}
    assert {job["stage"] for job in jobs.values()} == {*found["stages"]}
    for job in jobs.values():
        assert job["script"]
        assert all(isinstance(line, str) for line in job["script"])
