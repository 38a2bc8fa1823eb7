"""Whatever ends the process that a function is called in, whoever asked gets an error and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from edgebuild.engine import apart
from edgebuild.engine.task import Limits
from edgebuild.spec.errors import StepError, UsageError
from edgebuild.spec.reader import NoGraphError
from tests.engine.processes import eventually, marked


def refuse() -> None:
    raise NoGraphError("is of use as it is", file="m.pt2", key="source.file", hint="take it so")


def start_and_abort(mark: str) -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", mark])
    os.abort()


def hang(mark: str) -> None:
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)", mark], check=True)


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


def test_what_never_ends_is_stopped_when_its_time_is_up() -> None:
    with pytest.raises(StepError) as caught:
        apart.call(partial(time.sleep, 60), "a.py", apart.Patience(Limits(seconds=0.3)))
    assert caught.value.line == ("a.py: looking at it was stopped: still running after 0.3 s (--step-time allows more)")


def test_what_takes_long_is_told_once_and_waited_for() -> None:
    told: list[tuple[str, str]] = []
    patience = apart.Patience(Limits(seconds=30), lambda *line: told.append(line), silence=0.2)
    assert apart.call(partial(divmod, 7, 3), "b.py", apart.Patience(Limits(seconds=30), patience.waiting)) == (2, 1)
    assert apart.call(partial(time.sleep, 0.6), "a.py", patience) is None
    assert told == [("a.py", "still being looked at after 0.2 s; ended after 30 s (--step-time)")]


def test_what_takes_all_memory_is_told_its_limit() -> None:
    with pytest.raises(StepError) as caught:
        apart.call(partial(bytes, 2**30), "a.py", apart.Patience(Limits(memory=2**29)))
    assert caught.value.line == (
        "a.py: looking at it ran out of memory (its limit is 0.5 GiB) (--step-memory allows more)"
    )


def test_nothing_is_left_of_it_where_whoever_asked_is_killed(tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    asks = f"from tests.engine import test_apart as t; t.apart.call(t.partial(t.hang, {mark!r}), 'a.py')"
    with subprocess.Popen([sys.executable, "-c", asks]) as asking:
        assert eventually(lambda: len(marked(mark)) > 1)  # itself, and what it started
        asking.kill()
    assert eventually(lambda: not marked(mark))


def test_a_refusal_keeps_the_option_that_it_is_about() -> None:
    import pickle

    again = pickle.loads(pickle.dumps(UsageError("is too high", option="ratio")))
    assert (again.option, again.key, again.line) == ("ratio", None, "ratio: is too high")
