"""What every file of a folder owes: a new step, format, device or metric is tested the day it arrives."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import subprocess
import sys
from typing import Any, get_args

import pytest

from edgebuild.bundle.kind import KINDS
from edgebuild.spec import model_file
from edgebuild.spec import plugins as plugins_module
from edgebuild.spec.artifact import Determinism
from edgebuild.spec.cache import CACHES
from edgebuild.spec.checked import check, schema
from edgebuild.spec.data import DATA
from edgebuild.spec.joining import ASSEMBLIES
from edgebuild.spec.names import class_name
from edgebuild.spec.plugins import Registry
from edgebuild.spec.registry import DEVICES, FORMATS, GATES, REWRITES, STEPS, TASKS
from edgebuild.spec.source import SOURCES

HEAVY = (
    "asyncssh",
    "adbutils",
    "asyncio",
    "torch",
    "numpy",
    "onnx",
    "onnxruntime",
    "tensorflow",
    "scipy",
    "ai_edge_litert",
    "executorch",
    "litert_torch",
)
STEPLIKE = ("steps", "steps.techniques", "steps.evidence", "steps.assemblies")
FOLDERS = (
    *STEPLIKE,
    "formats",
    "devices",
    "gates",
    "tasks",
    "sources",
    "data",
    "assemblies",
    "bundle.kinds",
    "engine.caches",
)


def names(folder: str) -> list[str]:
    path = importlib.import_module(f"edgebuild.{folder}").__path__
    return [module.name for module in pkgutil.iter_modules(path) if not (module.ispkg or module.name.startswith("_"))]


def plugins(*folders: str) -> pytest.MarkDecorator:
    """Parametrize a test over the class of every file in these folders."""
    found = [(folder, name) for folder in folders for name in names(folder)]
    classes = [
        getattr(importlib.import_module(f"edgebuild.{folder}.{name}"), class_name(name)) for folder, name in found
    ]
    return pytest.mark.parametrize("kind", classes, ids=[f"{folder}/{name}" for folder, name in found])


def frozen_and_slotted(kind: Any) -> bool:
    return "__slots__" in vars(kind) and bool(kind.__dataclass_params__.frozen)


@plugins(*FOLDERS)
def test_it_and_its_file_say_what_they_are(kind: type) -> None:
    for subject in (kind, sys.modules[kind.__module__]):
        text = inspect.getdoc(subject)
        assert text
        assert not text.startswith(f"{kind.__name__}(")  # what dataclass writes when nobody did


@plugins(*STEPLIKE)
def test_a_step_is_frozen_slotted_and_declares_all_that_a_plan_asks(kind: Any) -> None:
    assert frozen_and_slotted(kind)
    for name in ("consumes", "needs", "tools"):
        value = getattr(kind, name)
        assert isinstance(value, tuple)
        assert all(isinstance(item, str) for item in value)
    assert kind.produces is None or isinstance(kind.produces, str)
    assert kind.deterministic in get_args(Determinism)
    assert isinstance(kind.exclusive, bool)
    assert list(inspect.signature(kind.run).parameters) == ["self", "io"]
    assert inspect.getdoc(kind.run)
    assert "model" not in kind.needs or kind.consumes


@plugins("assemblies")
def test_what_joins_parts_has_defaults_and_a_router_that_travels(kind: Any) -> None:
    assert check(kind, {}, file="x.toml") == kind()
    assert 1 <= kind.least <= kind.most
    text = model_file.module(kind.router).read_text()
    assert "edgebuild" not in text.partition('"""')[2].partition('"""')[2]
    router = importlib.import_module(kind.router)
    assert list(inspect.signature(router.answer).parameters) == ["rule", "parts", "values"]
    assert list(inspect.signature(router.combined).parameters) == ["rule", "answers"]


@plugins("steps.techniques")
def test_a_technique_has_a_default_and_a_check_for_every_option(kind: Any) -> None:
    made = check(kind, {}, file="x.toml")
    assert made == kind()
    assert hash(made) == hash(kind())
    properties = schema(kind).get("properties", {})
    assert properties.keys() == {field.name for field in dataclasses.fields(kind)}
    for field in dataclasses.fields(kind):
        with pytest.raises(Exception, match=f"x.toml: {field.name}"):
            check(kind, {field.name: {"no": "option"}}, file="x.toml")
    with pytest.raises(Exception, match="unknown key 'no-option'"):
        check(kind, {"no-option": 1}, file="x.toml")


@plugins("formats")
def test_a_format_names_its_file_runtime_and_packages_and_has_every_verb(kind: Any) -> None:
    assert kind.file.startswith("model.")
    assert {kind.runtime, *kind.runtime_needs} <= {*kind.requires}
    assert {*kind.requires} <= {*kind.tools}
    assert list(inspect.signature(kind.convert).parameters) == ["self", "module", "example", "layout"]
    assert list(inspect.signature(kind.constants).parameters) == ["self", "model"]
    assert list(inspect.signature(kind.layouts_of).parameters) == ["self", "model"]
    assert {*kind.layouts} <= {"nchw", "nhwc"}
    assert model_file.loader(kind).name == f"load_{kind.__module__.rpartition('.')[2]}.py"
    assert list(inspect.signature(kind.lifetimes).parameters) == ["self", "model"]
    assert list(inspect.signature(kind.work).parameters) == ["self", "model"]
    assert list(inspect.signature(kind.run).parameters) == ["self", "model", "samples"]
    assert list(inspect.signature(kind.layers).parameters) == ["self", "model"]
    assert list(inspect.signature(kind.observe).parameters) == ["self", "model", "how", "samples"]
    assert list(inspect.signature(kind.quantize).parameters) == ["self", "model", "how", "samples"]


@plugins("devices")
def test_a_device_is_frozen_slotted_and_can_be_asked_and_used(kind: Any) -> None:
    assert frozen_and_slotted(kind)
    assert kind.transport == kind.__module__.rpartition(".")[2]
    for name in ("why_unusable", "fidelity", "fingerprint", "execute"):
        assert inspect.getdoc(getattr(kind, name))


@plugins("gates")
@pytest.mark.parametrize("text", ["40", "", "x", "1 parsec", "nan", "inf %", "1e999 %", "0x4 B", "1,5 %", "- 5 %"])
def test_a_gate_refuses_a_limit_that_may_mean_anything(kind: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        kind.limit(text)
    assert list(inspect.signature(kind.judge).parameters) == ["self", "gate", "evidence"]


REGISTRIES = (ASSEMBLIES, CACHES, DATA, DEVICES, FORMATS, GATES, KINDS, REWRITES, SOURCES, STEPS, TASKS)


@pytest.mark.parametrize("registry", REGISTRIES, ids=[registry.noun for registry in REGISTRIES])
def test_each_is_as_the_base_of_its_noun_declares(registry: Registry[Any]) -> None:
    """Those of other packages are looked at when they are loaded; ours are here, and not in every command."""
    for name in plugins_module.ours(registry.package):
        assert plugins_module.mistake(registry, name, registry.get(name)) is None


def test_importing_all_of_it_imports_no_framework() -> None:
    modules = [f"edgebuild.{folder}.{name}" for folder in (*FOLDERS, "plan", "spec", "nn") for name in names(folder)]
    code = f"import sys, {', '.join(modules)}\nprint(*({set(HEAVY)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stderr, done.stdout.split()) == ("", [])
