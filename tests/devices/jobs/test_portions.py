"""Examples in portions: all of them once and in order, side by side, and what an earlier run left whole is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgebuild.devices.jobs.job import JobModel
from edgebuild.devices.jobs.portions import Portions
from edgebuild.devices.local import Local
from edgebuild.spec.errors import DeviceError
from tests.zoo import dense

X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)


def portions(zoo: Path, folder: Path, kept: Path | None = None) -> Portions:
    """On this machine, with a scratch folder of its own."""
    scratch = folder / f"scratch-{len(list(folder.iterdir()))}"
    scratch.mkdir()
    return Portions(Local(), JobModel("model", zoo / "mlp.onnx"), (X,), kept or folder / "kept", scratch, 60.0)


def silent(n: int) -> None:
    """Nobody listens."""


def test_they_give_what_one_run_gives_however_many_processes_run_them(zoo: Path, tmp_path: Path) -> None:
    work, told = portions(zoo, tmp_path), list[int]()
    work.more(10, 1, 60.0, told.append)
    work.more(40, 3, 60.0, told.append)
    assert (work.n, len(work.done)) == (40, 4)
    np.testing.assert_allclose(work.values()[0], dense(X, 16), rtol=1e-4, atol=1e-4)
    assert told[-1] == 40
    assert told == sorted(told)
    assert work.seconds > work.n * (work.each or 0) > 0


def test_what_was_whole_is_not_run_again_and_what_is_torn_is(zoo: Path, tmp_path: Path) -> None:
    work = portions(zoo, tmp_path)
    work.more(10, 1, 60.0, silent)
    work.more(20, 1, 60.0, silent)
    again = portions(zoo, tmp_path)
    assert (again.n, again.done) == (20, work.done)
    (tmp_path / "kept" / "10.npz").write_bytes(b"torn")
    torn = portions(zoo, tmp_path)
    assert torn.n == 10
    (tmp_path / "kept" / "0.json").write_text("{")
    assert portions(zoo, tmp_path).n == 0
    torn.more(20, 1, 60.0, silent)
    np.testing.assert_allclose(torn.values()[0], dense(X[:20], 16), rtol=1e-4, atol=1e-4)


def test_the_first_portion_ends_when_its_time_is_used_up(zoo: Path, tmp_path: Path) -> None:
    work = portions(zoo, tmp_path)
    work.more(40, 1, 0.0, silent)
    assert work.n == 1, "one at least, or it would never end"


def test_more_processes_are_started_only_where_their_start_pays(zoo: Path, tmp_path: Path) -> None:
    work = portions(zoo, tmp_path)
    assert work.processes(40, 8) == 1, "nothing is known yet"
    work.more(10, 1, 60.0, silent)
    assert work.processes(40, 8) == 1, "examples of microseconds are not worth a second start"


def test_a_failure_leaves_what_was_whole(zoo: Path, tmp_path: Path) -> None:
    work = portions(zoo, tmp_path)
    work.more(10, 1, 60.0, silent)
    broken = Portions(Local(), JobModel("model", zoo / "mlp.onnx"), (X[:, :3],), tmp_path / "kept", tmp_path, 60.0)
    with pytest.raises(DeviceError, match="bad-input"):
        broken.more(20, 1, 60.0, silent)
    assert json.loads((tmp_path / "kept" / "0.json").read_text())["stop"] == 10
    assert portions(zoo, tmp_path).n == 10
