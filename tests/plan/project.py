"""A small project whose plans have every kind of node, and the keys that its nodes would have."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from edgebuild.engine import keys
from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.resolve import Resolver
from edgebuild.engine.store import Action, Store
from edgebuild.plan import planner
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.files import read_model, read_policy, read_target
from tests import ROOT, tiny
from tests.core import CORE

MODEL = """\
description = "A tiny model"
builder = "build"
data = "load"
labels = ["top left", "top right", "bottom left", "bottom right"]
tools = ["numpy"]
reads = ["words.txt"]
sample = 1
[[inputs]]
name = "image"
shape = [1, 12, 12]
[preprocess]
width = 12
height = 12
[training]
epochs = 4
[teacher]
builder = "build_teacher"
weights = "teacher.safetensors"
[steps.distill]
epochs = 3
"""
TIMED = """\
description = "A board that this machine stands for"
runtimes = [{format = "onnx"}, {format = "tflite"}]
recipe = [{use = "prune_channels", ratio = 0.5}, {use = "distill"}, {use = "int8"}]
devices = [{transport = "local"}]
[hardware]
arch = "aarch64"
cpu = "cortex-a72"
channel_multiple = 4
clock = "1.5 GHz"
ram = "4 GiB"
[timing]
iterations = 30
[[gates]]
metric = "accuracy"
limit = "1 pp"
[[gates]]
metric = "f1"
limit = "2 pp"
[[gates]]
metric = "size"
limit = "64 KiB"
[[gates]]
metric = "arena"
limit = "96 KiB"
[[gates]]
metric = "latency"
limit = "+3 %"
[[gates]]
metric = "latency"
limit = "p95 40 ms"
[[gates]]
metric = "cold_start"
limit = "1 s"
"""
F1 = '[[gates]]\nmetric = "f1"\nlimit = "2 pp"\n'
LOCAL = '[{transport = "local"}]'
EMULATED = (
    TIMED.replace(F1, "")
    .replace(LOCAL, '[{transport = "qemu", examples = 500}]')
    .replace("[timing]", f"{CORE}[timing]")
)
BUDGETED = EMULATED.replace("ratio = 0.5", "budget = {time = 0.5}")
ESTIMATED = TIMED.replace(LOCAL, '[{transport = "local", measures = ["outputs"]}]').replace(
    "[timing]", """\
[hardware.roofline]
peak = "12 GFLOP/s"
bandwidth = "2.75 GB/s"
source = "a data sheet"
[timing]"""
)  # fmt: skip


# A model that comes as a file, which one runtime takes.
ONNX_ONLY = TIMED.replace(', {format = "tflite"}', "").replace(
    'recipe = [{use = "prune_channels", ratio = 0.5}, {use = "distill"}, {use = "int8"}]', 'recipe = [{use = "int8"}]'
)
FROM_A_FILE = (
    MODEL.partition("[teacher]")[0].replace('builder = "build"\n', "")
    + """\
[source]
use = "onnx"
file = "net.onnx"
external = ["*.bin"]
"""
)
# One whose state comes back.
IN_STREAMS = """\
description = "x"
data = "load"
[source]
use = "onnx"
file = "net.onnx"
[[inputs]]
name = "sound"
shape = [4]
[[inputs]]
name = "memory"
shape = [8]
state = {from = "left", start = 0}
[[outputs]]
name = "answer"
shape = [2]
task = "agreement"
[[outputs]]
name = "left"
shape = [8]
"""
JUDGED_IN_STREAMS = """\
description = "x"
recipe = [{use = "int8"}]
runtimes = [{format = "onnx"}]
devices = [{transport = "local"}]
[hardware]
arch = "aarch64"
cpu = "cortex-a72"
[[gates]]
metric = "agreement"
limit = "0.1"
"""
LIFTED = FROM_A_FILE.replace('use = "onnx"', 'use = "lifted"')
# A folder of TensorFlow's, on which its own converter has a second opinion.
SAVED = FROM_A_FILE.replace(
    'use = "onnx"\nfile = "net.onnx"\nexternal = ["*.bin"]', 'use = "saved_model"\nfile = "net"'
)
# A model that is made of others.
AVERAGED = FROM_A_FILE.replace(
    'use = "onnx"\nfile = "net.onnx"\nexternal = ["*.bin"]', 'use = "average"\nmembers = ["a", "b"]'
)
SOUP = AVERAGED.replace('use = "average"', 'use = "soup"')
# A model whose teacher is a file.
TAUGHT = MODEL.replace(
    'builder = "build_teacher"\nweights = "teacher.safetensors"', 'source = {use = "onnx", file = "net.onnx"}'
)


# What is known of our code, so that no other store parses it again.
_PARSED: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Keyed:
    """What would run: by label the named parts of its key, without and with the inputs, and what it takes from whom."""

    own: Mapping[str, Mapping[str, str]]
    key: Mapping[str, str]
    before: Mapping[str, frozenset[str]]
    step: Mapping[str, str]

    def downstream(self, labels: set[str]) -> set[str]:
        """These and all that depends on them."""
        reached = set(labels)
        for label in self.own:  # in the order of the graph
            if self.before[label] & reached:
                reached.add(label)
        return reached

    def kinds(self, labels: set[str]) -> set[str]:
        """The steps of these labels, with `/onnx` where only that format's are among them; a label where not even all
        of one format are.
        """
        groups: dict[tuple[str, str], set[str]] = {}
        for label, step in self.step.items():
            format_name = next((name for name in ("onnx", "tflite") if f"/{name}/" in label), "")
            groups.setdefault((step, format_name), set()).add(label)
        chosen = {group for group, own in groups.items() if own <= labels}
        whole = {step for step, _ in chosen if {group for group in groups if group[0] == step} <= chosen}
        partly = {f"{step}/{name}" for step, name in chosen if step not in whole}
        return whole | partly | (labels - {label for group in chosen for label in groups[group]})


@dataclass(frozen=True, slots=True)
class Project:
    """Files of a project, below a folder, as a test has changed them."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, target: str = TIMED, model: str = MODEL) -> Project:
        """A project with this target and this model."""
        models = folder / "models" / "tiny"
        models.mkdir(parents=True)
        shutil.copyfile(tiny.MODELS / "tiny" / "model.py", models / "model.py")
        (models / "model.toml").write_text(model)
        (models / "words.txt").write_text("some words")
        (models / "teacher.safetensors").write_bytes(b"a teacher's weights")
        (models / "net.onnx").write_text("an operator")
        (models / "w.bin").write_text("some weights")
        (models / "net").mkdir()
        (models / "net" / "saved_model.pb").write_text("a graph")
        (folder / "board.toml").write_text(target)
        return cls(folder)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the first place in one of the files: `board.toml`, or one of the model's."""
        path = self.folder / name if name == "board.toml" else self.folder / "models" / "tiny" / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1))

    def plan(self, store: Store) -> Graph:
        """The graph as these files ask for it."""
        target = read_target(self.folder / "board.toml", "targets/board.toml")
        model = read_model(self.folder / "models" / "tiny", "models/tiny/model.toml")
        member = replace(model, name="member", declared=replace(model.declared, source=None, builder="build"))
        model = replace(model, members=tuple(replace(member, name=name) for name in model.declared.members))
        policy = read_policy(ROOT / "policies" / "default.toml", "policies/default.toml")
        return planner.make(store, [target], [model], ["board"], policy).graph

    def keyed(self) -> Keyed:
        """The keys of all nodes, where each makes other bytes whenever its key is another."""
        (keyed,) = self.changed([""])
        return keyed

    def changed(self, modules: Iterable[str]) -> Iterator[Keyed]:
        """The keys after the code of each of these modules of ours has changed, one after the other."""
        store = Store(self.folder / "store")
        store.code.known |= _PARSED
        try:
            graph = self.plan(store)
            with _options_read_once():
                for module in modules:
                    yield _keyed(graph, store, module)
            _PARSED.update(store.code.known)
        finally:
            store.close()


@contextmanager
def _options_read_once() -> Iterator[None]:
    """Keys of one graph, again and again: the options of its nodes stay what they are, whatever code changes."""
    real, parts = keys.option_parts, dict[int, dict[str, str]]()

    def remembered(node: Node) -> dict[str, str]:
        if id(node) not in parts:
            parts[id(node)] = real(node)
        return parts[id(node)]

    with mock.patch.object(keys, "option_parts", remembered):
        yield


def _keyed(graph: Graph, store: Store, module: str) -> Keyed:
    was = store.code.read(module) if module else None
    if was:
        store.code._modules[module] = ("changed " + was[0], was[1])
    resolver = Resolver(graph, store)
    keyed = Keyed({}, {}, {}, {})
    for name in graph.order():
        parts, node = resolver.parts(name), graph.nodes[name]
        key = keys.of(parts)
        output = Artifact(node.kind, hashlib.sha256(key.encode()).hexdigest())
        resolver.done[name] = Action(key, graph.label(name), parts, output, 0.0)
        own = {part: text for part, text in parts.items() if not part.startswith("input.") and part != "provenance"}
        sources = [f"input.{role}" for role, item in node.inputs.items() if item in graph.sources]
        own |= {part: parts[part] for part in sources if part in parts}
        needed = {item for item in node.inputs.values() if item in graph.nodes}
        needed |= {*graph.upstream(name)} if node.records else set()
        for label in graph.labels[name]:
            keyed.own[label], keyed.key[label], keyed.step[label] = own, key, type(node.step).__name__  # type: ignore[index]
            keyed.before[label] = frozenset(one for item in needed for one in graph.labels[item])  # type: ignore[index]
    if was:
        store.code._modules[module] = was
    return keyed
