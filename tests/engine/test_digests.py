"""A digest changes with what counts and with nothing else."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgebuild.engine import digests

CODE = '''"""What it does."""
from __future__ import annotations
LIMIT = 3

class Step:
    """A step."""

    def run(self, x):
        """Run it."""
        return x * LIMIT  # times

    async def later(self, x):
        """Run it later."""
        return x
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Writes modules of a package `ours` that can be imported: name → text."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**modules: str) -> None:
        for name, text in {"__init__": "", **modules}.items():
            path = tmp_path / "ours" / f"{name.replace('__of__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] in ("ours", "others")]:
        del sys.modules[name]


def of(*modules: str) -> dict[str, str]:
    return dict(digests.of_code(modules))


class TestCode:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("  # times", "  # multiplied by"),
            ('"""What it does."""', '"""What it does, in other words."""'),
            ('    """A step."""\n', '    """Another word\n\n    for it."""\n'),
            ('"""Run it."""', '"""Runs."""'),
            ('"""Run it later."""', '"""Runs later."""'),
            ("LIMIT = 3\n", "\n\n\nLIMIT = (\n    3\n)\n"),
        ],
        ids=["comment", "docstring", "class", "method", "coroutine", "layout"],
    )
    def test_what_does_not_change_the_code_does_not_change_its_digest(
        self, package: Callable[..., None], old: str, new: str
    ) -> None:
        package(step=CODE)
        before = of("ours.step")
        assert old in CODE
        package(step=CODE.replace(old, new))
        assert of("ours.step") == before

    @pytest.mark.parametrize(
        ("old", "new"),
        [("LIMIT = 3", "LIMIT = 4"), ("x * LIMIT", "x + LIMIT"), ("later", "soon"), ("3", "3.0"), ("3", '"3"')],
    )
    def test_what_changes_the_code_changes_its_digest(self, package: Callable[..., None], old: str, new: str) -> None:
        package(step=CODE)
        before = of("ours.step")
        package(step=CODE.replace(old, new))
        assert of("ours.step") != before

    @pytest.mark.parametrize(
        "line",
        [
            "import ours.helper",
            "from ours import helper",
            "from ours.helper import VALUE",
            "from . import helper",
            "from .helper import VALUE",
            "def run():\n    from ours.helper import VALUE",
            "from ours import middle",
            "from ours import room",
        ],
    )
    def test_our_own_modules_count_however_they_are_imported(self, package: Callable[..., None], line: str) -> None:
        more = {"middle": "from ours.helper import VALUE", "room__of____init__": "from ..helper import VALUE"}
        package(step=line, helper="VALUE = 1", **more)
        before = of("ours.step")
        assert "ours.helper" in before
        package(step=line, helper="VALUE = 2", **more)
        after = of("ours.step")
        assert {name for name in after if after[name] != before[name]} == {"ours.helper"}

    def test_a_module_that_is_not_imported_does_not_count(self, package: Callable[..., None]) -> None:
        package(step=CODE, helper="VALUE = 1")
        before = of("ours.step")
        package(step=CODE, helper="VALUE = 2")
        assert of("ours.step") == before

    def test_modules_that_import_each_other_are_read_once(self, package: Callable[..., None]) -> None:
        package(step="import ours.helper", helper="import ours.step")
        assert set(of("ours.step")) == {"ours.step", "ours.helper"}

    def test_for_a_step_of_others_what_it_uses_of_edgebuild_counts_too(self, package: Callable[..., None]) -> None:
        package(step="from edgebuild.spec.errors import StepError")
        assert set(of("ours.step")) == {"ours.step", "edgebuild.spec.errors"}

    def test_a_module_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(ModuleNotFoundError):
            of("edgebuild.no_such_module")

    @pytest.mark.parametrize(
        "line", ["import others.part", "from others.part import it", "from others import part", "import others"]
    )
    def test_modules_of_others_are_never_imported_by_looking(
        self, package: Callable[..., None], tmp_path: Path, line: str
    ) -> None:
        others = tmp_path / "others"
        others.mkdir()
        (others / "__init__.py").write_text("raise RuntimeError('imported')")
        (others / "part.py").write_text("it = 1")
        package(step=line)
        assert set(of("ours.step")) == {"ours.step"}
        assert "others" not in sys.modules

    def test_looking_at_all_steps_imports_no_framework(self) -> None:
        code = (
            "import sys; from edgebuild.engine.digests import of_code\n"
            "rooms = 'edgebuild.steps.techniques.distill', 'edgebuild.steps.techniques.prune_channels'\n"
            "of_code((*rooms, 'edgebuild.formats.onnx'))\n"
            "print(sorted({'torch', 'onnx', 'onnxruntime', 'numpy'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout == "[]\n"


class TestMemo:
    """What is remembered of sources saves time and changes nothing."""

    def test_the_answer_is_the_same_and_nothing_is_parsed_again(
        self, package: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package(step="from ours import helper", helper="VALUE = 1")
        memo = digests.CodeMemo()
        first = digests.of_code(("ours.step",), memo)
        assert memo.grown
        monkeypatch.setattr("ast.parse", lambda _: pytest.fail("parsed again"))
        later = digests.CodeMemo(memo.known)
        assert digests.of_code(("ours.step",), later) == first
        assert not later.grown

    def test_a_source_that_changed_is_read_again(self, package: Callable[..., None]) -> None:
        package(step="from ours import helper", helper="VALUE = 1")
        memo = digests.CodeMemo()
        digests.of_code(("ours.step",), memo)
        package(step="from ours import helper", helper="VALUE = 2")
        assert digests.of_code(("ours.step",), digests.CodeMemo(memo.known)) == of("ours.step")

    def test_a_name_that_became_a_module_is_looked_into(self, package: Callable[..., None]) -> None:
        """The importer is the same to the byte, so that only the files that there are can tell."""
        package(step="from ours import helper", __init__="helper = 1")
        memo = digests.CodeMemo()
        assert set(digests.of_code(("ours.step",), memo)) == {"ours", "ours.step"}
        package(step="from ours import helper", helper="VALUE = 1")
        found = digests.of_code(("ours.step",), digests.CodeMemo(memo.known))
        assert set(found) == {"ours", "ours.step", "ours.helper"}
        assert dict(found) == of("ours.step")

    def test_the_memo_of_another_reader_is_not_believed(
        self, package: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package(step=CODE)
        memo = digests.CodeMemo()
        digests.of_code(("ours.step",), memo)
        lies = {key: ["0" * 64, []] for key in memo.known}
        monkeypatch.setattr(digests, "_reader", lambda: "another")
        assert digests.of_code(("ours.step",), digests.CodeMemo(lies)) == of("ours.step")


class TestTree:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "tree" / "a").mkdir(parents=True)
        (tmp_path / "tree" / "a" / "one.txt").write_text("1")
        (tmp_path / "tree" / "two.txt").write_text("2")
        return tmp_path / "tree"

    def test_times_and_modes_do_not_count(self, folder: Path) -> None:
        before = digests.of_tree(folder)
        os.utime(folder / "two.txt", (1, 1))
        (folder / "two.txt").chmod(0o400)
        (folder / "a").chmod(0o700)
        assert digests.of_tree(folder) == before

    def test_the_place_of_the_folder_does_not_count(self, folder: Path) -> None:
        before = digests.of_tree(folder)
        assert digests.of_tree(folder.rename(folder.with_name("elsewhere"))) == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda folder: (folder / "two.txt").rename(folder / "three.txt"),
            lambda folder: (folder / "two.txt").rename(folder / "a" / "two.txt"),
            lambda folder: (folder / "empty.txt").touch(),
            lambda folder: (folder / "two.txt").unlink(),
            lambda folder: (folder / "two.txt").write_text(""),
            lambda folder: (folder / "two.txt").write_text("3"),
            lambda folder: ((folder / "two.txt").write_text("1"), (folder / "a" / "one.txt").write_text("2")),
        ],
        ids=["renamed", "moved", "empty", "removed", "emptied", "changed", "swapped"],
    )
    def test_every_name_and_byte_counts(self, folder: Path, change: Callable[[Path], object]) -> None:
        before = digests.of_tree(folder)
        change(folder)
        assert digests.of_tree(folder) != before

    def test_a_digest_is_sha256_in_full(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"abc")
        known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4, example
        assert digests.of_bytes(b"abc") == digests.of_file(tmp_path / "file") == known


@dataclass(frozen=True)
class Point:
    x: int
    y: tuple[float, ...]


class TestPlain:
    def test_dataclasses_become_mappings_and_tuples_lists(self) -> None:
        assert digests.plain({"p": Point(1, (0.5,)), "n": None}) == {"p": {"x": 1, "y": [0.5]}, "n": None}

    @pytest.mark.parametrize(
        "value", [b"bytes", {1, 2}, Path("p"), object(), Point, 1j, {1: "a"}, {"a": b""}, [Path("p")], lambda: None]
    )
    def test_what_has_no_plain_form_is_refused(self, value: object) -> None:
        with pytest.raises(TypeError):
            digests.plain(value)

    @pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), (0, None), ("1", 1), ("", None), ([], {})])
    def test_values_of_different_types_have_different_digests(self, one: object, other: object) -> None:
        assert digests.of_json(one) != digests.of_json(other)

    def test_the_order_of_a_mapping_does_not_count(self) -> None:
        assert digests.of_json({"a": 1, "b": 2}) == digests.of_json({"b": 2, "a": 1})
