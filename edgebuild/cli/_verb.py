"""What every verb shares: the project option, `--json`, errors in one line, and the exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

if TYPE_CHECKING:
    from edgebuild.engine.task import Limits
    from edgebuild.report.judged import Judged
    from edgebuild.spec.cache import Place
    from edgebuild.spec.errors import EdgebuildError


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb found: plain data for `--json`, a function that prints it for people, the exit code."""

    document: Any
    show: Callable[[], None]
    exit_code: int = 0


def verb(name: str) -> Callable[[Callable[..., Answer]], click.Command]:
    """Make a command of a function that returns an Answer; adds `--json` and turns every error into one line."""

    def decorate(function: Callable[..., Answer]) -> click.Command:
        @click.command(name, context_settings={"help_option_names": ["-h", "--help"]})
        @click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else.")
        @wraps(function)
        def command(as_json: bool, **options: Any) -> int:
            try:
                _somewhere()
                return _told(function(**options), as_json)
            except BrokenPipeError:
                from edgebuild.cli._unforeseen import leave_reader

                return leave_reader()
            except click.ClickException:
                raise
            except Exception as error:  # whatever it is, it ends in one line
                from edgebuild.cli._unforeseen import foreseen

                return failed(foreseen(error), as_json)

        decorated: click.Command = command
        return decorated

    return decorate


def _told(answer: Answer, as_json: bool) -> int:
    """Print the answer; its exit code. UsageError where what is printed cannot be written."""
    try:
        if as_json:
            print(json.dumps(answer.document, indent=1, ensure_ascii=False, default=str), flush=True)
        else:
            answer.show()
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        from edgebuild.cli._unforeseen import leave_reader
        from edgebuild.spec.errors import UsageError

        leave_reader()  # what is left of it would fail once more
        raise UsageError(f"cannot be written: {error.strerror}", file="standard output") from None
    return answer.exit_code


def failed(error: EdgebuildError, as_json: bool) -> int:
    """Print the error, in JSON as well where that is asked for; its exit code."""
    print(f"edgebuild: {error.line}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": error.to_json(), "exit_code": error.exit_code}, ensure_ascii=False))
    return error.exit_code


def _somewhere() -> None:
    """UsageError where the working folder has been deleted: paths would start from nowhere."""
    try:
        os.getcwd()
    except FileNotFoundError:
        from edgebuild.spec.errors import UsageError

        raise UsageError("the working folder is gone", hint="cd to one that is there") from None


def _names(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """What a shell completes an option's value by: names of targets or recipes, or models of the project."""

    def complete(context: click.Context, parameter: click.Parameter, beginning: str) -> list[str]:
        from edgebuild.spec.project import open_project

        with suppress(Exception):  # whatever is wrong is told when the command is run
            project = open_project(context.params.get("project") or Path())
            names = {
                "target": project.target_files,
                "recipe": project.recipe_files,
                "model": project.model_folders,
            }[kind]()
            return [name for name in names if name.startswith(beginning)]
        return []

    return complete


project_option = click.option(
    "--project",
    "-C",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="The project's folder, with targets/ and models/.",
)
target_option = click.option(
    "--target",
    "-t",
    "targets",
    multiple=True,
    required=True,
    shell_complete=_names("target"),
    help="Target; may be repeated.",
)
model_option = click.option(
    "--model",
    "-m",
    "models",
    multiple=True,
    shell_complete=_names("model"),
    help="Model; default: every model of the project.",
)
recipe_option = click.option(
    "--recipe",
    "-r",
    shell_complete=_names("recipe"),
    help="A recipe by name, in the place of the targets' own.",
)


def report_options(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Add the options that name files for reports; the command gets them as `junit`, `sarif` and `markdown`."""
    help_texts = {
        "markdown": "Write a summary in Markdown, small enough for code hosts.",
        "sarif": "Write what did not pass as SARIF 2.1.0.",
        "junit": "Write the verdicts as JUnit XML.",
    }
    for name, text in help_texts.items():
        kind = click.Path(path_type=Path, dir_okay=False)
        function = click.option(f"--{name}", type=kind, callback=_writable, help=text)(function)
    return function


def _writable(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """The path of a report; BadParameter where it cannot be written, before anything is run for it."""
    if path is not None:
        folder = path.absolute().parent
        if not folder.is_dir():
            raise click.BadParameter(f"{folder} is no folder")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise click.BadParameter(f"{path} cannot be written")
    return path


def cache_options(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Add the options of a cache that machines share; the command gets `cache` and `cache_read_only`."""
    url = click.option(
        "--cache",
        metavar="URL",
        envvar="EDGEBUILD_CACHE",
        help="Share results through http(s)://, s3://, gs:// or az://; also EDGEBUILD_CACHE.",
    )
    read_only = click.option(
        "--cache-read-only",
        is_flag=True,
        envvar="EDGEBUILD_CACHE_READ_ONLY",
        help="Take from the cache and send nothing, as CI of forks should; also EDGEBUILD_CACHE_READ_ONLY=1.",
    )
    return url(read_only(function))


def shared_at(cache: str | None, read_only: bool) -> Place | None:
    """What the options of `cache_options` say; UsageError for what is no URL of a cache."""
    if not cache:
        return None
    from edgebuild.spec.cache import place

    return place(cache, read_only=read_only)


cluster_option = click.option(
    "--cluster",
    metavar="URL",
    envvar="EDGEBUILD_CLUSTER",
    help="Run steps on the workers of the Dask scheduler at tcp://HOST:PORT; needs --cache. Also EDGEBUILD_CLUSTER.",
)


def cluster_at(cluster: str | None, cache: Place | None) -> str | None:
    """What `cluster_option` says; UsageError for what is no address, and without a cache by which things travel."""
    if not cluster:
        return None
    from edgebuild.spec.cluster import address

    where = address(cluster, "--cluster")
    carrying(cache)
    return where


def carrying(cache: Place | None) -> Place:
    """The cache by which inputs and results travel; UsageError where there is none that may be written to."""
    from edgebuild.spec.errors import UsageError

    if cache is None:
        reason = "a cluster needs a cache: inputs and results travel through it"
        raise UsageError(reason, key="--cache", hint="such as --cache http://cache.example.com:8080/edge")
    if cache.read_only:
        raise UsageError("a cluster needs a cache that takes what is sent", key="--cache-read-only")
    return cache


def limit_options(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Add the options that say what steps may use; the command gets `jobs`, `step_memory` and `step_time`."""
    jobs = click.option(
        "--jobs", "-j", type=click.IntRange(min=1), help="Steps side by side; default: the cores there are."
    )
    return jobs(step_limits(function))


def step_limits(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Add the options that say what one step, or a look at a file, may use: `step_memory` and `step_time`."""
    memory = click.option("--step-memory", default="8 GiB", show_default=True, help="Most memory a step may use.")
    seconds = click.option("--step-time", default="60 min", show_default=True, help="Most time a step may take.")
    return memory(seconds(function))


def limits(step_memory: str, step_time: str) -> Limits:
    """What the options of `limit_options` say; UsageError for what is no size or time."""
    from edgebuild.engine.task import Limits
    from edgebuild.spec.units import parse_bytes, parse_seconds

    memory = _quantity("--step-memory", step_memory, parse_bytes)
    return Limits(memory=int(memory), seconds=_quantity("--step-time", step_time, parse_seconds))


def _quantity(option: str, text: str, parse: Callable[[str], float]) -> float:
    from edgebuild.spec.errors import UsageError

    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(str(error), key=option) from None


def write_reports(judged: list[Judged], **paths: Path | None) -> None:
    """Write each report whose path is given, by the name of its file in `edgebuild/report/`."""
    import importlib

    from edgebuild.report.judged import write

    for name, path in paths.items():
        if path is not None:
            write(path, importlib.import_module(f"edgebuild.report.{name}").render, judged)
