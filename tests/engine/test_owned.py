"""Only what is a store is emptied, only while nobody uses it, and only of what edgebuild put there."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebuild.engine import owned
from edgebuild.engine.store import Store
from edgebuild.spec.errors import UsageError
from tests.engine.test_store import HOLD, put, record


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A store with an artifact that no build uses."""
    store = Store(tmp_path / "store")
    record(store, put(store))
    store.close()
    return store.root


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_store_is_marked_when_it_is_made(filled: Path) -> None:
    assert owned.is_marked(filled)
    assert (filled / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")


def test_a_store_is_emptied_and_works_afterwards(filled: Path) -> None:
    owned.clear(filled)
    assert listing(filled) == {"CACHEDIR.TAG"}
    store = Store(filled)
    assert store.holds(put(store))
    store.close()


def test_what_the_user_put_into_a_store_stays(filled: Path) -> None:
    (filled / "thesis.tex").write_text("mine")
    (filled / "photos").mkdir()
    owned.clear(filled)
    assert listing(filled) == {"CACHEDIR.TAG", "thesis.tex", "photos"}


def users(folder: Path) -> None:
    (folder / "thesis.tex").write_text("mine")


def users_with_names_of_ours(folder: Path) -> None:
    for name in ("tmp", "logs"):
        (folder / name).mkdir()
    (folder / "logs" / "diary.txt").write_text("mine")


def users_with_all_our_names(folder: Path) -> None:
    for name in owned.FOLDERS:
        (folder / name).mkdir()
    (folder / "cas" / "thesis.tex").write_text("mine")


def a_cache_of_another_tool(folder: Path) -> None:
    (folder / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# of another tool\n")


def an_old_store_and_a_file(folder: Path) -> None:
    old_store(folder)
    (folder / "thesis.tex").write_text("mine")


@pytest.mark.parametrize(
    "fill",
    [users, users_with_names_of_ours, users_with_all_our_names, a_cache_of_another_tool, an_old_store_and_a_file],
)
@pytest.mark.parametrize("act", [owned.clear, Store])
def test_a_folder_of_the_users_is_neither_emptied_nor_made_a_store(
    tmp_path: Path, fill: Callable[[Path], None], act: Callable[[Path], object]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    fill(folder)
    before = listing(folder)
    with pytest.raises(UsageError, match="is no store of edgebuild") as caught:
        act(folder)
    assert caught.value.exit_code == 2
    assert listing(folder) == before


def old_store(folder: Path) -> None:
    """A store of an edgebuild that made no mark."""
    store = Store(folder / "fresh")
    record(store, put(store))
    store.close()
    (folder / "fresh" / "CACHEDIR.TAG").unlink()
    for path in (folder / "fresh").iterdir():
        path.rename(folder / path.name)
    (folder / "fresh").rmdir()
    action = next((folder / "actions").iterdir())
    action.rename(action.with_name("0123456789abcdef" * 4 + ".json"))


def test_a_store_without_a_mark_is_known_by_its_layout_and_gets_one(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    old_store(folder)
    assert owned.is_store(folder)
    Store(folder).close()
    assert owned.is_marked(folder)
    assert len(list((folder / "cas").iterdir())) == 1
    owned.clear(folder)
    assert listing(folder) == {"CACHEDIR.TAG"}


def test_a_link_in_a_store_is_removed_and_not_followed(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    users(tmp_path / "mine")
    (filled / "curves").symlink_to(tmp_path / "mine")
    owned.clear(filled)
    assert listing(tmp_path / "mine") == {"thesis.tex"}


def test_a_store_that_a_build_uses_is_not_emptied(filled: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(filled)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        before = listing(filled)
        with pytest.raises(UsageError, match="is in use by a running build") as caught:
            owned.clear(filled)
        assert (caught.value.exit_code, listing(filled)) == (2, before)
        process.send_signal(signal.SIGKILL)
    owned.clear(filled)
    assert listing(filled) == {"CACHEDIR.TAG"}


def test_an_absent_store_is_empty(tmp_path: Path) -> None:
    owned.clear(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


class TestReplaceable:
    def test_what_we_made_is_replaced(self, tmp_path: Path) -> None:
        owned.check_replaceable(tmp_path / "absent", "manifest.json")
        owned.check_replaceable(tmp_path, "manifest.json")
        (tmp_path / "manifest.json").touch()
        owned.check_replaceable(tmp_path, "manifest.json")

    def test_what_the_user_made_is_not(self, tmp_path: Path) -> None:
        users(tmp_path)
        for place in (tmp_path, tmp_path / "thesis.tex"):
            with pytest.raises(UsageError, match="is in the way"):
                owned.check_replaceable(place, "manifest.json")
