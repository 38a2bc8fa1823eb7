"""A key holds all that a step's output depends on, by name."""

from __future__ import annotations

import dataclasses
import importlib
import os
import pkgutil
import subprocess
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import edgebuild.steps
import edgebuild.steps.evidence
import edgebuild.steps.techniques
from edgebuild.bundle import assemble
from edgebuild.devices.local import Local
from edgebuild.engine import digests, keys
from edgebuild.engine.graph import Node
from edgebuild.nn.network import Network
from edgebuild.spec import surroundings
from edgebuild.spec.artifact import EXCUSED, Artifact, Step
from tests import ROOT
from tests.engine import toys

MEMO = digests.CodeMemo()


def step_classes() -> list[type[Any]]:
    """Every step that we have: the dataclasses with a `run`."""
    rooms = (edgebuild.steps.techniques, edgebuild.steps, edgebuild.steps.evidence)
    names = [f"{room.__name__}.{item.name}" for room in rooms for item in pkgutil.iter_modules(room.__path__)]
    modules = [*map(importlib.import_module, names), assemble]
    found = {
        item
        for module in modules
        for item in vars(module).values()
        if dataclasses.is_dataclass(item) and isinstance(item, type) and hasattr(item, "run")
    }
    return sorted(found, key=lambda item: item.__qualname__)


@dataclass(frozen=True, slots=True)
class OtherDevice:
    """A device with the same fields as the local one: none."""


def example(hint: Any) -> Any:
    """Some value of this type."""
    hint, origin, arguments = unpack(hint)
    if getattr(hint, "_is_protocol", False):  # a device: any class with its methods
        return Local()
    if dataclasses.is_dataclass(hint):
        return made(hint, {f.name: example(hints(hint)[f.name]) for f in dataclasses.fields(hint)})
    if origin is tuple:
        return tuple(example(item) for item in arguments if item is not ...)
    if origin is typing.Literal:
        return arguments[0]
    if origin in (typing.Union, types.UnionType):
        return example(next(item for item in arguments if item is not type(None)))
    if origin is not None and issubclass(origin, Mapping):
        return {"name": example(arguments[1])}
    return {bool: True, int: 3, float: 0.5, str: "text"}[hint]


def variants(hint: Any, value: Any, where: str) -> Iterator[tuple[str, Any, bool]]:
    """Every way to change one thing in `value`: what is changed, the changed value, whether it is excused."""
    hint, origin, arguments = unpack(hint)
    if getattr(hint, "_is_protocol", False):
        yield where, OtherDevice(), False
    elif dataclasses.is_dataclass(hint):
        for f in dataclasses.fields(hint):
            for path, changed, excused in variants(hints(hint)[f.name], getattr(value, f.name), f"{where}.{f.name}"):
                fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(hint)}
                yield path, made(hint, fields | {f.name: changed}), excused or not f.metadata.get("in_key", True)
    elif origin is tuple:
        yield f"{where}(longer)", (*value, value[0]), False
        yield f"{where}(empty)", (), False
        for path, changed, excused in variants(arguments[0], value[0], f"{where}[0]"):
            yield path, (changed, *value[1:]), excused
    elif origin is typing.Literal:
        for other in arguments[1:]:
            yield where, other, False
    elif origin in (typing.Union, types.UnionType):
        yield f"{where}(none)", None, False
        yield from variants(next(item for item in arguments if item is not type(None)), value, where)
    elif origin is not None and issubclass(origin, Mapping):
        yield f"{where}(key)", {"other": value["name"]}, False
        for path, changed, excused in variants(arguments[1], value["name"], f"{where}[name]"):
            yield path, {"name": changed}, excused
    else:
        yield where, {bool: False, int: 4, float: 0.51, str: "other"}[hint], False


def made(kind: type[Any], fields: dict[str, Any]) -> Any:
    """An object with these fields, also when it does not make sense: only the key matters here."""
    item = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(item, name, value)
    return item


def unpack(hint: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """The type without its annotations, what it is made of, and its arguments."""
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return hint, typing.get_origin(hint), typing.get_args(hint)


def hints(kind: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(
        kind, localns={"Network": Network}, include_extras=True
    )  # steps import it for checkers


def key(step: Any, **inputs: Artifact) -> str:
    return keys.of(keys.parts(Node(step, {}, "kind"), inputs, MEMO))


def cases() -> list[Any]:
    found = []
    for kind in step_classes():
        step = example(kind)
        found += [pytest.param(step, *case, id=case[0]) for case in variants(kind, step, kind.__name__)]
    return found


class TestEveryField:
    def test_all_steps_are_found(self) -> None:
        names = {kind.__name__ for kind in step_classes()}
        assert names >= {"Train", "Convert", "Distill", "Int8", "PruneChannels", "Latency", "Judge", "Assemble"}

    @pytest.mark.parametrize(("step", "where", "changed", "excused"), cases())
    def test_it_changes_the_key_unless_it_is_excused(self, step: Any, where: str, changed: Any, excused: bool) -> None:
        assert changed != step
        assert (key(changed) == key(step)) == excused, where

    def test_nested_dataclasses_are_looked_into(self) -> None:
        paths = {case.id for case in cases()}
        assert {"Train.training.seed", "Judge.gates[0].limit", "Assemble.subject.signature.inputs[0].shape[0]"} <= paths
        assert "Latency.device" in paths

    def test_some_are_excused_and_say_so(self) -> None:
        assert {case.id for case in cases() if case.values[3]} >= {"Train.origin", "ImportWeights.shown"}


@dataclass(frozen=True)
class Inner:
    depth: int = 1
    note: str = field(default="", metadata=EXCUSED)


@dataclass(frozen=True)
class Twin:
    """Has the fields of Inner, and is something else."""

    depth: int = 1
    note: str = field(default="", metadata=EXCUSED)


@dataclass(frozen=True, slots=True)
class Holder(toys.Records):
    """Holds anything as its option."""

    item: Any = None


class TestNested:
    def test_an_excused_field_is_excused_inside_too(self) -> None:
        assert key(Holder(Inner(1, "a"))) == key(Holder(Inner(1, "b")))
        assert key(Holder((Inner(1, "a"),))) == key(Holder((Inner(1, "b"),)))

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (Inner(), Twin()),
            ((Inner(),), (Twin(),)),
            (((Inner(),),), ((Twin(),),)),
            ({"a": Inner()}, {"a": Twin()}),
            ({"a.b": 1}, {"a": {"b": 1}}),
            ({"a[0]": ({"b": 1},)}, {"a": ({"b": 1},)}),
            ({}, ()),
            ({}, None),
            ((), ((),)),
            (("a", "b"), ("a,b",)),
            (({"a": 1}, {"b": 2}), ({"a": 1, "b": 2},)),
            ((1, 2), "[1,2]"),
            (1, 1.0),
            ("1", 1),
        ],
    )
    def test_different_values_have_different_keys(self, one: object, other: object) -> None:
        assert key(Holder(one)) != key(Holder(other))

    @pytest.mark.parametrize("value", [Path("p"), b"", {1: 2}, (Path("p"), Inner()), {"a": {1}}, Inner])
    def test_what_has_no_plain_form_is_refused(self, value: object) -> None:
        with pytest.raises(TypeError):
            key(Holder(value))


def driver_of(folder: Path, *models: str) -> None:
    """What NVIDIA's kernel module says of devices."""
    for number, model in enumerate(models):
        (folder / "gpus" / f"0000:0{number}:00.0").mkdir(parents=True)
        (folder / "gpus" / f"0000:0{number}:00.0" / "information").write_text(f"Model: \t\t {model}\nIRQ: 7\n")
    (folder / "version").write_text("NVRM version: 550\nGCC\n")


class TestParts:
    def test_parts_have_names(self) -> None:
        node = Node(Holder(Inner(3)), {}, "toy", code=("edgebuild.gates.size",), tools=("click",), facts={"cpu": "a72"})
        parts = keys.parts(node, {"model": Artifact("torch", "f" * 64)}, MEMO)
        assert parts["step"] == "tests.engine.test_keys.Holder"
        assert parts["option.item.depth"] == "3"
        assert parts["input.model"] == "torch:" + "f" * 64
        assert parts["fact.cpu"] == "a72"
        assert {"kind", "tool.python", "tool.click", "code.edgebuild.gates.size", "code.tests.engine.toys"} <= set(
            parts
        )

    def test_the_machine_counts_for_steps_that_train_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def machine_of(step: Step) -> dict[str, str]:
            parts = keys.parts(Node(step, {}, "toy"), {}, MEMO)
            return {name: text for name, text in parts.items() if name.startswith("machine.")}

        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(surroundings, "_DRIVER", tmp_path)
        assert machine_of(toys.Learns()) == {"machine.cores": str(len(os.sched_getaffinity(0)))}
        assert machine_of(Holder()) == {}
        monkeypatch.setattr(surroundings, "cores", lambda: 64)
        driver_of(tmp_path, "NVIDIA L4")
        assert machine_of(toys.Learns()) == {"machine.cores": "64", "machine.cuda": "NVIDIA L4, NVRM version: 550"}
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        assert machine_of(toys.Learns()) == {"machine.cores": "64"}

    @pytest.mark.parametrize(
        ("models", "visible", "named"),
        [
            ("L4", None, "L4"),
            ("L4,L4,L4", None, "3 × L4"),
            ("L4,L4,L4", "0,2", "2 × L4"),
            ("L4,L4,L4", "GPU-1f", "L4"),
            ("L4,L4", "1,-1,0", "L4"),
            ("L4,L4", "-1", None),
            ("L4,L4", "", None),
            ("L4,T4,L4", None, "3 × L4 or T4"),
            ("L4,T4", "1", "L4 or T4 (CUDA_VISIBLE_DEVICES=1)"),
        ],
    )
    def test_the_cuda_devices_that_may_be_used_count(
        self, models: str, visible: str | None, named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(surroundings, "_DRIVER", tmp_path)
        driver_of(tmp_path, *models.split(","))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        told = surroundings.machine().get("cuda")
        assert told == (named and f"{named}, NVRM version: 550")

    def test_the_kind_and_the_digest_of_an_input_count(self) -> None:
        step, found = Holder(), Artifact("torch", "0" * 64)
        assert key(step, model=found) != key(step, model=dataclasses.replace(found, kind="onnx"))
        assert key(step, model=found) != key(step, model=dataclasses.replace(found, digest="1" * 64))
        assert key(step, model=found) != key(step, teacher=found)
        assert key(step, model=found) != key(step)

    def test_the_version_of_a_tool_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        node = Node(Holder(), {}, "toy", tools=("some-tool",))
        seen = set()
        for version in ("1.0", "1.0.1", "absent"):
            monkeypatch.setattr(keys, "version", lambda _, version=version: version)
            seen.add(keys.of(keys.parts(node, {}, MEMO)))
        assert len(seen) == 3

    def test_a_tool_that_is_not_installed_is_absent(self) -> None:
        assert keys.version("no-such-distribution-anywhere") == "absent"
        assert keys.version("pytest") == pytest.__version__
        for each in metadata.distributions():
            assert keys.version(each.name) == metadata.version(each.name)

    def test_what_the_plan_says_counts(self) -> None:
        plain = Node(Holder(), {}, "toy")
        for change in (
            {"kind": "other"},
            {"code": ("edgebuild.gates.size",)},
            {"tools": ("click",)},
            {"facts": {"cpu": "a72"}},
        ):
            assert keys.of(keys.parts(dataclasses.replace(plain, **change), {}, MEMO)) != keys.of(
                keys.parts(plain, {}, MEMO)
            )

    def test_two_classes_with_the_same_fields_have_different_keys(self) -> None:
        assert key(toys.Write("a")) != key(toys.Alone("a"))


class TestChanges:
    def test_they_read_as_a_person_would_say_it(self) -> None:
        before = {"option.ratio": "0.5", "option.norm": "2", "tool.torch": "2.12", "option.old": "1"}
        after = {"option.ratio": "0.51", "option.norm": "2", "tool.torch": "2.13", "option.new": '"a"'}
        assert keys.changes(before, after) == [
            'option.new (none) → "a"',
            "option.old 1 → (none)",
            "option.ratio 0.5 → 0.51",
            "tool.torch 2.12 → 2.13",
        ]

    def test_digests_are_cut_for_reading_only(self) -> None:
        before = {"code.a": "0" * 64, "input.model": "torch:" + "1" * 64, "provenance": "2" * 64}
        after = {"code.a": "3" * 64, "input.model": "onnx:" + "4" * 64, "provenance": "5" * 64}
        assert keys.changes(before, after) == [
            f"code.a {'0' * 12} → {'3' * 12}",
            f"input.model torch:{'1' * 12} → onnx:{'4' * 12}",
            f"provenance {'2' * 12} → {'5' * 12}",
        ]

    def test_the_reason_puts_first_what_the_user_changed_and_is_short(self) -> None:
        before = {"step": "a.B", "option.ratio": "0.5"} | {f"code.m{i}": "0" * 64 for i in range(4)}
        after = {"step": "a.B", "option.ratio": "0.51"} | {f"code.m{i}": "1" * 64 for i in range(4)}
        assert keys.reason(before, after) == (
            "option.ratio 0.5 → 0.51, code.m0 000000000000 → 111111111111, code.m1 000000000000 → 111111111111"
            " and 2 more"
        )
        assert keys.reason(before, before) == ""
        assert keys.reason(before, after | {"step": "a.b.C"}) == "step B → C"
        assert keys.reason(before, after | {"step": "c.B"}) == "step a.B → c.B"

    def test_an_option_of_a_real_step(self) -> None:
        from edgebuild.steps.techniques.prune_channels import PruneChannels

        parts = [keys.parts(Node(PruneChannels(ratio=ratio), {}, "torch"), {}, MEMO) for ratio in (0.5, 0.51)]
        assert keys.changes(*parts) == ["option.ratio 0.5 → 0.51"]


ASK = """
from edgebuild.engine import keys
from edgebuild.engine.graph import Graph, Node
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.model import Training
from edgebuild.spec.preprocess import ImageInput
from edgebuild.spec.signature import TensorSpec
from edgebuild.steps.train import Train
from tests.engine import toys

step = toys.Join("-")
node = Node(step, {}, "toy", code=("edgebuild.nn.train.training", "edgebuild.formats.onnx"), tools=("click", "rich"))
print(keys.of(keys.parts(node, {f"role{i}": Artifact("toy", str(i)) for i in range(9)})))
graph = Graph()
ids = [graph.add(f"a{i}", Node(toys.Write(f"{i}"), {}, "toy")) for i in range(30)]
last = graph.add("join", Node(step, {f"role{i}": name for i, name in enumerate(ids)}, "toy"))
print([graph.label(name) for name in graph.order()], [graph.label(name) for name in graph.upstream(last)])
"""


def test_other_processes_and_hash_seeds_give_the_same_keys_and_order() -> None:
    said = set()
    for seed in ("0", "1", "random"):
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", ASK], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said.add(done.stdout)
    assert len(said) == 1
