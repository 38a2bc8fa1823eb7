"""A process that runs one command line after another, so that what each imports and forks its steps from is paid once.

Every command has the environment and the working folder that it would have as a process of its own, and the real
standard streams. What one leaves in memory the next one finds, which no user's does: see `Workspace.run`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from select import select
from typing import Any

# What may differ from command to command; steps have the rest of the environment from the server they are forked from.
_OWN = {"EDGEBUILD_STORE", "COLUMNS", "PYTEST_CURRENT_TEST"}


class Resident:
    """The process, as those that ask it see it; it is started when it is first asked."""

    def __init__(self) -> None:
        """Nothing is started yet; the environment is that of now."""
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {**os.environ}

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a command with this environment, and all that it starts, finds it here."""
        return {name for name, _ in environment.items() ^ self._environment.items()} <= _OWN

    def run(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float
    ) -> tuple[int, str, str]:
        """The exit code of `edgebuild ARGUMENTS`, and what it printed; TimeoutExpired after so many seconds."""
        with tempfile.TemporaryDirectory(prefix="resident-") as folder:
            streams = [Path(folder, name) for name in ("out", "err")]
            task = {"arguments": [*arguments], "cwd": str(cwd), "environment": {**environment}}
            code = self._ask(task | {"streams": [*map(str, streams)]}, timeout)
            out, err = (path.read_text(encoding="utf-8") for path in streams)
        return code, out, err

    def _ask(self, task: Mapping[str, Any], timeout: float) -> int:
        if self._process is None:
            command = [sys.executable, "-P", __file__]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, env=self._environment, stdin=pipe, stdout=pipe)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(task).encode() + b"\n")
        stdin.flush()
        answered, _, _ = select([stdout], [], [], timeout)
        answer = stdout.readline() if answered else b""
        if not answer:
            self._process.kill()
            self.close()
            assert not answered, f"the process that runs commands died: {task}"
            raise subprocess.TimeoutExpired(task["arguments"], timeout)
        return int(answer)

    def close(self) -> None:
        """End the process, if there is one; it has nothing to finish."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


def _serve() -> None:
    """Run the commands that come by standard input, a line of JSON each, and answer each with its exit code."""
    from edgebuild.cli import main
    from edgebuild.spec.surroundings import AHEAD, PROGRAM

    tasks, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    _fork_from_here(nowhere)
    for line in tasks:
        task = json.loads(line)
        # The server that steps are forked from is told by these, and is the same for all commands.
        server = {name: os.environ[name] for name in (AHEAD, PROGRAM) if name in os.environ}
        os.environ.clear()
        os.environ.update(task["environment"] | server)
        os.chdir(task["cwd"])
        for number, path in enumerate(task["streams"], 1):
            with open(path, "wb") as stream:
                os.dup2(stream.fileno(), number)
        try:
            code = main(task["arguments"])
        except SystemExit as stop:
            code = int(stop.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
        for number in (1, 2):
            os.dup2(nowhere, number)
        print(code, file=answers, flush=True)


def _fork_from_here(nowhere: int) -> None:
    """Start the server that steps are forked from in a folder that stays, with all that any step needs."""
    from multiprocessing.forkserver import ensure_running

    from edgebuild.verbs import preloading

    for number in (1, 2):
        os.dup2(nowhere, number)
    preloading.preload_all()
    ensure_running()


if __name__ == "__main__":
    _serve()
