"""A build as a program of its own: `python -m tests.engine.program STORE RUNS [WHAT MARK] [--preload MODULE]`.

It prints the digest of every output by label, and with a cache how many steps ran; a Ctrl-C ends it with code 130.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from edgebuild.devices.jobs.turns import Machine
from edgebuild.engine import worker
from edgebuild.engine.sharing import Sharing
from edgebuild.engine.store import Action, Store
from edgebuild.spec.cache import place
from edgebuild.spec.errors import EdgebuildError
from tests.engine import toys
from tests.engine.toybox import Toybox

SIZE = 10

Program = Callable[..., subprocess.Popen[str]]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of a program that a test has started."""
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def main() -> int:
    """Build ten toys, one of them alone, or one that misbehaves."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("runs")
    parser.add_argument("misbehave", nargs="*")
    parser.add_argument("--preload", default="tests.engine.toys")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--turns", action="store_true", help="heed the other builds of this machine")
    parser.add_argument("--cache", help="share results through this URL")
    parser.add_argument("--cache-read-only", action="store_true")
    chosen = parser.parse_args()
    worker.preload((chosen.preload,))
    store = Store(chosen.store)
    try:
        print(json.dumps(_build(store, chosen)))
    except KeyboardInterrupt:
        return 130
    except EdgebuildError as error:
        print(error.line, file=sys.stderr)
        return error.exit_code
    finally:
        store.close()
    return 0


def _build(store: Store, chosen: argparse.Namespace) -> dict[str, str]:
    box = Toybox(store)
    if chosen.misbehave:
        box.add("bad", toys.Misbehaves(*chosen.misbehave))
    else:
        _fill(box, chosen.runs, chosen.prefix)
    done = _shared(box, chosen) if chosen.cache else box.build(turns=Machine() if chosen.turns else None)
    return {label: action.output.digest for label, action in sorted(done.items())}


def _shared(box: Toybox, chosen: argparse.Namespace) -> dict[str, Action]:
    sharing = Sharing(place(chosen.cache, read_only=chosen.cache_read_only), print)  # type: ignore[arg-type]
    done = box.build(turns=Machine() if chosen.turns else None, sharing=sharing)
    sharing.close(waiting=lambda left: None)
    print(f"{len(box.heard.ran)} run, {len(box.heard.fetches)} from the cache", file=sys.stderr)
    return done


def _fill(box: Toybox, runs: str, prefix: str) -> None:
    """Six texts, one alone, three that join them: tree-shaped, with something to do side by side."""
    parts = {name: box.add(name, toys.Write(prefix + name, seconds=0.05, tally=runs)) for name in "abcdef"}
    alone = box.add("alone", toys.Alone(f"{prefix}alone", seconds=0.05, tally=runs))
    left = box.add("left", toys.Join(f"{prefix}<", seconds=0.05, tally=runs), **dict(list(parts.items())[:3]))
    right = box.add("right", toys.Join(f"{prefix}>", seconds=0.05, tally=runs), **dict(list(parts.items())[3:]))
    box.add("all", toys.Join(f"{prefix}|", tally=runs), left=left, right=right, alone=alone)


if __name__ == "__main__":
    sys.exit(main())
