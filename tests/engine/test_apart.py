"""Whatever ends the process that a function is called in, whoever asked gets an error and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from edgebuild.engine import apart
from edgebuild.spec.errors import StepError, UsageError
from edgebuild.spec.reader import NoGraphError
from tests.engine.processes import eventually, marked


def refuse() -> None:
    raise NoGraphError("is of use as it is", file="m.pt2", key="source.file", hint="take it so")


def start_and_abort(mark: str) -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", mark])
    os.abort()


def test_what_it_gives_comes_back() -> None:
    assert apart.call(partial(divmod, 7, 3), "a.py") == (2, 1)


def test_what_it_refuses_with_comes_back_whole() -> None:
    with pytest.raises(NoGraphError) as caught:
        apart.call(refuse, "a.py")
    assert caught.value.line == "m.pt2: source.file: is of use as it is (take it so)"


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (partial(os._exit, 0), "ended with code 0 and said nothing"),
        (partial(os._exit, 3), "ended with code 3 and said nothing"),
        (partial(signal.raise_signal, signal.SIGSEGV), "was ended by SIGSEGV"),
    ],
)
def test_a_process_that_ends_is_an_error(end: partial[None], cause: str) -> None:
    with pytest.raises(StepError) as caught:
        apart.call(end, "a.py")
    assert caught.value.line == f"a.py: crashed what looks at it: the process {cause}"


def test_what_nobody_foresaw_there_is_an_error() -> None:
    with pytest.raises(StepError, match=r"a\.py: looking at it failed: ZeroDivisionError: .*division.* by zero"):
        apart.call(partial(divmod, 1, 0), "a.py")


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    with pytest.raises(StepError, match="SIGABRT"):
        apart.call(partial(start_and_abort, mark), "a.py")
    assert eventually(lambda: not marked(mark))


def test_a_refusal_keeps_the_option_that_it_is_about() -> None:
    import pickle

    again = pickle.loads(pickle.dumps(UsageError("is too high", option="ratio")))
    assert (again.option, again.key, again.line) == ("ratio", None, "ratio: is too high")
