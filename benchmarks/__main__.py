"""`python -m benchmarks [NAME …]`: lists the benchmarks and runs them all, or those whose names begin with NAME.

All together take more than half an hour of CPU time. Counted work and outputs are measured, and this machine's time
in `live_gate` alone.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import benchmarks
from benchmarks._tables import write
from edgebuild.spec.errors import EdgebuildError

UNKNOWN = 2  # exit code
RESULTS = Path(__file__).resolve().parent / "results"
_TOOLS = ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert", "onnxruntime", "numpy")


def discover() -> dict[str, ModuleType]:
    """Every benchmark by its file's name; a file whose name begins with an underscore is a helper."""
    names = sorted(each.name for each in pkgutil.iter_modules(benchmarks.__path__) if not each.name.startswith("_"))
    return {name: importlib.import_module(f"benchmarks.{name}") for name in names}


def main(wanted: Sequence[str]) -> int:
    """The exit code: 0, 2 for a name that no benchmark has, or that of the last benchmark that failed."""
    found = discover()
    chosen = {name: each for name, each in found.items() if not wanted or name.startswith(tuple(wanted))}
    for name in found:
        print(f"{'run ' if name in chosen else 'skip'} {name}: {_about(found[name])}", file=sys.stderr, flush=True)
    unknown = [each for each in wanted if not any(name.startswith(each) for name in found)]
    if unknown:
        print(f"unknown benchmark {', '.join(unknown)}", file=sys.stderr)
        return UNKNOWN
    return max([_run(name, each) for name, each in chosen.items()], default=0)


def _run(name: str, benchmark: ModuleType) -> int:
    try:
        tables = benchmark.run()
    except EdgebuildError as error:
        print(f"{name}: {error.line}", file=sys.stderr)
        return error.exit_code
    print(write(RESULTS, name, _about(benchmark), tables, {tool: version(tool) for tool in _TOOLS}), flush=True)
    return 0


def _about(benchmark: ModuleType) -> str:
    return (benchmark.__doc__ or "").split("\n")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
