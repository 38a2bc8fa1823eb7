"""Every benchmark starts and gives its tables, in the short run that it has for this."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks._tables import read, render, write
from edgebuild.devices.emulation import sysroot
from edgebuild.devices.qemu import cache_folder

TOOLS = {"numpy": "2"}
# Their short runs train and measure for a quarter of a minute and longer.
SLOW = {
    *("deep_compression", "elastic", "elastic_targets", "first_contact", "keras_teacher", "peers", "recipes"),
    *("search", "two_devices"),
}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in command.names()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all short runs: they build the same small model, and what two of them need is made once."""
    return tmp_path_factory.mktemp("short-runs") / "store"


@pytest.mark.parametrize("name", NAMES)
def test_a_short_run_gives_every_figure_that_its_columns_show(
    name: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEBUILD_STORE", str(store))
    sysroot.prepare(cache_folder())
    tables = command.module(name).run(small=True)
    assert tables
    for table in tables:
        assert table.rows or "unseen" in table.columns
        assert len(table.grid().splitlines()) == len(table.rows) + 2
    write(tmp_path, name, render(name, "", tables, TOOLS), tables, TOOLS)
    json.loads((tmp_path / f"{name}.json").read_text())
    assert [table.markdown() for table in read(tmp_path, name)] == [table.markdown() for table in tables]


def test_what_is_slow_is_there() -> None:
    assert {*command.names()} >= SLOW


def test_help_and_the_list_answer_without_running_anything() -> None:
    helped, listed = (CliRunner().invoke(command.main, [option]) for option in ("--help", "--list"))
    assert (helped.exit_code, listed.exit_code) == (0, 0)
    assert "--small" in helped.output
    assert [line.split()[0] for line in listed.output.splitlines()] == list(command.names())


def test_a_benchmark_that_is_not_there_is_named() -> None:
    answer = CliRunner().invoke(command.main, ["emulatr"])
    assert answer.exit_code == 2
    assert "emulatr" in answer.output
