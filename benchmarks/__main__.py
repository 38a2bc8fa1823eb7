"""`python -m benchmarks [NAME …]`: runs benchmarks, all or those whose names begin with NAME, and keeps results."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import rich_click as click

import benchmarks
from benchmarks import _quotes
from benchmarks._tables import render, write
from edgebuild.spec.errors import EdgebuildError

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
_TOOLS = ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert", "onnxruntime", "numpy")


def names() -> tuple[str, ...]:
    """Of every benchmark; a file whose name begins with an underscore is a helper."""
    return tuple(sorted(each.name for each in pkgutil.iter_modules(benchmarks.__path__) if each.name[0] != "_"))


def about(name: str) -> str:
    """The first line of a benchmark's documentation, read without importing what it needs."""
    package = ROOT / "benchmarks" / name
    file = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n")[0].rstrip(".")


def module(name: str) -> ModuleType:
    """The benchmark of this name: `run(small=…)` gives its tables."""
    return importlib.import_module(f"benchmarks.{name}")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("wanted", metavar="[NAME]...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="Say what there is, and run nothing.")
@click.option("--small", is_flag=True, help="A short run of each that shows that it works; keeps no results.")
@click.option("--quote", is_flag=True, help="Run nothing: put the kept results into the documents that quote them.")
def main(wanted: Sequence[str], listing: bool, small: bool, quote: bool) -> None:
    """Run all benchmarks, or those whose names begin with NAME, and keep their results in benchmarks/results.

    All together take some hours of CPU time. Counted work and outputs are measured; this machine's time is in
    `distill_speed`, `live_gate`, `peers` and `techniques`, as ratios of interleaved runs, and in `engine_overhead`.
    Most need the emulated devices (`edgebuild devices setup`).
    """
    if unknown := [each for each in wanted if not any(name.startswith(each) for name in names())]:
        raise click.UsageError(f"unknown benchmark {', '.join(unknown)}; there are {', '.join(names())}")
    chosen = [name for name in names() if not wanted or name.startswith(tuple(wanted))]
    if listing:
        width = max(map(len, chosen))
        print("\n".join(f"{name:{width}}  {about(name)}" for name in chosen))
    elif quote:
        for document in _quotes.documents(ROOT):
            _quotes.renew(document, RESULTS)
    else:
        sys.exit(max([_run(name, small) for name in chosen], default=0))


def _run(name: str, small: bool) -> int:
    """The exit code of one benchmark."""
    print(f"{name}: {about(name)}", file=sys.stderr, flush=True)
    try:
        tables = module(name).run(small=small)
    except EdgebuildError as error:
        print(f"{name}: {error.line}", file=sys.stderr)
        return error.exit_code
    tools = {tool: version(tool) for tool in _TOOLS}
    text = render(name, about(name), tables, tools)
    if not small:
        write(RESULTS, name, text, tables, tools)
    print(text, flush=True)
    return 0


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
