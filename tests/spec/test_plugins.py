"""A plug-in is checked when it is loaded: what is wrong with it is one line, and harms nobody who does not name it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import ClassVar, Protocol

import pytest

from edgebuild.spec import plugins
from edgebuild.spec.errors import UsageError
from edgebuild.spec.plugins import Registry

GOOD = """\
from dataclasses import dataclass
from typing import ClassVar
from tests.spec.test_plugins import Noun

@dataclass(frozen=True, slots=True)
class Thing(Noun):
    name: ClassVar[str] = "thing"
    parts: ClassVar[tuple[str, ...]] = ("a",)

    def make(self, model, how=None):
        return b""
"""
METHOD = '    def make(self, model, how=None):\n        return b""\n'
LIMIT = "    def limit(self, text):\n        return 0.0\n\n"
ORIGIN = "it comes from entry point things: things_of_others:Thing"


class Noun(Protocol):
    """What a plug-in of these tests is like."""

    __slots__ = ()

    name: ClassVar[str]
    parts: ClassVar[tuple[str, ...]]
    hint: ClassVar[str | None] = None

    @abstractmethod
    def make(self, model: bytes, how: str | None = None) -> bytes:
        """Make it."""

    @staticmethod
    def limit(text: str) -> float:
        """The limit."""
        return 0.0

    @property
    def most(self) -> int | None:
        """How many."""
        return None


@pytest.fixture
def things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Registry[Noun]]]:
    """The registry of things, where somebody else's package brings one with this text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [EntryPoint("thing", "things_of_others:Thing", "things")]
    monkeypatch.setattr(plugins, "entry_points", lambda: EntryPoints(points))

    def clear() -> None:
        plugins.forget()

    def bring(text: str) -> Registry[Noun]:
        (tmp_path / "things_of_others.py").write_text(text)
        monkeypatch.delitem(__import__("sys").modules, "things_of_others", raising=False)
        clear()
        # A folder of ours without a plug-in.
        return Registry(Noun, "tests.models", "thing", "things", options=True, named="name")  # type: ignore[type-abstract]

    yield bring
    clear()


def test_one_that_has_all_of_it_is_used_and_what_it_leaves_out_has_a_default(
    things: Callable[[str], Registry[Noun]],
) -> None:
    registry = things(GOOD)
    kind = registry.get("thing")
    assert (kind.hint, kind.limit("1"), kind().most) == (None, 0.0, None)
    assert (registry.usable(), registry.refused()) == ({"thing": kind}, [])
    assert registry.module("thing") == "things_of_others"
    assert registry.required() == ["name", "parts", "make"]


WRONG = {
    "lacks 'parts': expected parts: tuple[str, ...]": ('    parts: ClassVar[tuple[str, ...]] = ("a",)\n', ""),
    "lacks 'make': expected make(model, how)": (METHOD, ""),
    "has ['a'] for 'parts': expected parts: tuple[str, ...]": ('("a",)', '["a"]'),
    "has 'a' for 'parts': expected parts: tuple[str, ...]": ('("a",)', '"a"'),
    "has 3 for 'hint': expected hint: str | None": ('    name: Cl', '    hint: ClassVar[int] = 3\n    name: Cl'),
    "has 'most' for 'most': expected most: int | None": ('    name: Cl', '    most = "most"\n    name: Cl'),
    "takes (model) in 'make': expected make(model, how)": ("self, model, how=None", "self, model"),
    "takes (how, model) in 'make': expected make(model, how)": ("self, model, how=None", "self, how, model"),
    "takes (model, how, more) in 'make': expected make(model, how)": ("how=None", "how, more"),
    "has b'' for 'make': expected the method make(model, how)": (METHOD, "    make = b''\n"),
    "needs an object for 'limit': expected a static or class method limit(text)": (METHOD, LIMIT + METHOD),
    "does not inherit tests.spec.test_plugins.Noun": ("(Noun)", ""),
    "is no frozen dataclass, whose fields are its options": ("@dataclass(frozen=True, slots=True)", "@dataclass"),
    "is no class but a function": ("class Thing(Noun):", "def Thing():\n    pass\n\nclass Other(Noun):"),
    "says in 'name' that it is 'other'": ('"thing"', '"other"'),
}  # fmt: skip


@pytest.mark.parametrize(("reason", "change"), WRONG.items(), ids=list(WRONG))
def test_what_is_not_as_declared_is_one_line_with_plug_in_member_expectation_and_origin(
    things: Callable[[str], Registry[Noun]], reason: str, change: tuple[str, str]
) -> None:
    text = GOOD.replace(*change)
    if "no class but" in reason:
        text = text.replace("@dataclass(frozen=True, slots=True)\n", "")
    assert text != GOOD
    registry = things(text)
    with pytest.raises(UsageError) as caught:
        registry.get("thing", file="a.toml", key="things[0]")
    assert caught.value.line == f"a.toml: things[0]: thing 'thing' {reason}; {ORIGIN}"
    assert registry.usable() == {}
    assert registry.refused() == [f"thing 'thing' {reason}; {ORIGIN}"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise OSError('no')", "OSError: no"),
        ("Other = 3", "AttributeError: module 'things_of_others' has no attribute 'Thing'"),
        ("class (", "SyntaxError: invalid syntax (things_of_others.py, line 1)"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(things: Callable[[str], Registry[Noun]], text: str, reason: str) -> None:
    registry = things(text)
    with pytest.raises(UsageError) as caught:
        registry.get("thing")
    where = "entry point things: things_of_others:Thing"
    assert caught.value.line == f"thing 'thing' cannot be loaded from {where}: {reason}"


def test_a_name_that_two_packages_bring_is_neither_ones(
    things: Callable[[str], Registry[Noun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = things(GOOD)
    points = [EntryPoint("thing", f"{place}:Thing", "things") for place in ("things_of_others", "more_things")]
    monkeypatch.setattr(plugins, "entry_points", lambda: EntryPoints(points))
    plugins.forget()
    with pytest.raises(UsageError) as caught:
        registry.get("thing")
    where = [f"entry point things: {place}:Thing" for place in ("things_of_others", "more_things")]
    assert caught.value.line == f"thing 'thing' is brought by {' and by '.join(where)}: uninstall one"


class Between(Noun, Protocol):
    """A base between the noun and a thing, which asks for more."""

    __slots__ = ()

    @abstractmethod
    def weigh(self, model: bytes) -> int:
        """Its weight."""


def test_what_a_base_between_asks_for_is_missed_as_well(things: Callable[[str], Registry[Noun]]) -> None:
    text = GOOD.replace("import Noun", "import Between").replace("(Noun)", "(Between)")
    assert things(text).refused() == [f"thing 'thing' lacks 'weigh': expected weigh(model); {ORIGIN}"]


def test_more_parameters_are_fine_where_they_have_defaults(things: Callable[[str], Registry[Noun]]) -> None:
    assert things(GOOD.replace("how=None", "how=None, *more, best=1, **rest")).refused() == []


def test_memory_that_runs_out_is_not_the_plug_ins_fault(things: Callable[[str], Registry[Noun]]) -> None:
    with pytest.raises(MemoryError):
        things("raise MemoryError").get("thing")
