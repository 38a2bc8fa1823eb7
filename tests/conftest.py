"""What tests share: the artifacts of a tiny model that is trained once a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny


@pytest.fixture(scope="session", autouse=True)
def turns(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Locks of these tests' own, so that they wait for no build of this machine, and none for them."""
    os.environ["EDGEBUILD_LOCKS"] = str(tmp_path_factory.mktemp("locks"))


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Ctrl-C interrupts, also where a shell that ran the tests in the background had it ignored for all below."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run that all its workers have: what one of them makes there, no other makes again."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def made(common: Path) -> tiny.Made:
    """The tiny residual CNN and all that is made of it, on demand."""
    return tiny.start("tiny", common / "tiny")


@pytest.fixture(scope="session")
def pair(common: Path) -> tiny.Made:
    """A model of two inputs and all that is made of it, on demand."""
    return tiny.start("pair", common / "pair")


@pytest.fixture(scope="session")
def tokens(common: Path) -> tiny.Made:
    """A model of whole numbers and all that is made of it, on demand."""
    return tiny.start("tokens", common / "tokens")


@pytest.fixture(scope="session")
def scene(common: Path) -> tiny.Made:
    """A model of two inputs, three outputs and two tasks, and all that is made of it, on demand."""
    return tiny.start("scene", common / "scene")


@pytest.fixture(scope="session")
def centre(common: Path) -> tiny.Made:
    """A regression (a small CNN, two values) and all that is made of it, on demand."""
    return tiny.start("centre", common / "centre")


@pytest.fixture(scope="session")
def arrows(common: Path) -> tiny.Made:
    """An embedding (two linear layers, eight values), with unlabelled data, and all that is made of it, on demand."""
    return tiny.start("arrows", common / "arrows")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier that was trained in Keras, as a .keras file."""
    from tests import keras_nets

    return keras_nets.classifier(tmp_path_factory.mktemp("keras") / "quarters.keras")


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> tiny.Made:
    """The artifacts of the tiny CNN as another process makes them, with another hash seed, home and time zone."""
    root = tmp_path_factory.mktemp("elsewhere")
    other = {"PYTHONHASHSEED": "4711", "HOME": str(root), "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-m", "tests.tiny", str(root / "tiny")]
    done = subprocess.run(
        command, cwd=Path(__file__).parent.parent, env=os.environ | other, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return tiny.Made("tiny", root / "tiny")
