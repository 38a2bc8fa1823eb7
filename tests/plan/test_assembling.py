"""An assembly is planned like any model, each part by its recipe; parts that do not fit are refused in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgebuild.devices.qemu import Qemu
from edgebuild.engine import keys
from edgebuild.engine.graph import Node
from edgebuild.engine.store import Store
from edgebuild.plan import planner
from edgebuild.plan.planner import Plan
from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import file_name
from edgebuild.spec.project import open_project
from edgebuild.spec.target import Policy
from tests import ROOT, tiny
from tests.core import CORE

TARGET = """\
description = "a board"
runtimes = [{format = "onnx"}, {format = "tflite"}]
recipe = [{use = "int8"}]
devices = [{transport = "local"}]
gates = [{metric = "accuracy", limit = "1 pp"}, {metric = "arena", limit = "9 MiB"}]
[hardware]
arch = "aarch64"
cpu = "cortex-a72"
clock = "1.5 GHz"
ram = "4 GiB"
"""
EMULATED = TARGET.replace('"local"', '"qemu", examples = 500') + CORE
WHOLE = """\
description = "both"
base = "tiny"
by_name = true
[assembly]
use = "cascade"
parts = [{recipe = "small"}, {name = "large"}]
"""
SMALL = 'description = "small"\nsteps = [{use = "prune_channels", ratio = 0.5}, {use = "distill"}, {use = "int8"}]\n'
Make = Callable[..., Plan]


@pytest.fixture(autouse=True)
def emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that need not be set up, since nothing runs on it."""
    monkeypatch.setattr(Qemu, "why_unusable", lambda self: None)
    monkeypatch.setattr(Qemu, "fingerprint", lambda self: {"cpu": "a core", "emulator": "e" * 64})


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Plans the assembly of a project, with other text for any of its files."""
    store = Store(tmp_path / "store")

    def plan(whole: str = WHOLE, target: str = TARGET, **others: str) -> Plan:
        for name in ("tiny", *others):
            shutil.copytree(tiny.MODELS / "tiny", tmp_path / "models" / name, dirs_exist_ok=True)
        for name, text in others.items():
            (tmp_path / "models" / name / "model.toml").write_text(text)
        for place, text in (("models/both/model", whole), ("targets/board", target), ("recipes/small", SMALL)):
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"{place}.toml").write_text(text)
        project = open_project(tmp_path)
        return planner.make(store, [project.target("board")], [project.model("both")], ["board"], Policy())

    yield plan
    store.close()


def nodes(plan: Plan, step: str) -> list[Node]:
    return [node for node in plan.graph.nodes.values() if file_name(type(node.step)) == step]


def test_all_that_an_assembly_needs_is_planned_once(make: Make) -> None:
    planned = set[str]()
    for whole, target in ((WHOLE, TARGET), (WHOLE, EMULATED), (SPLIT, TARGET), (EXITING, TARGET)):
        planned |= {file_name(type(node.step)) for node in make(whole, target).graph.nodes.values()}
    own = {path.stem for path in (ROOT / "edgebuild" / "steps" / "assemblies").glob("[a-z]*.py")}
    assert own - {"join_halves"} <= planned  # a gate on a finished bundle needs that one
    assert len(nodes(make(), "train")) == 1  # both parts come from one float model
    assert len(nodes(make(), "int8")) == 4  # of two parts in two formats


def test_its_parts_go_by_their_own_recipes_and_the_rule_by_the_validation_examples(make: Make) -> None:
    plan = make()
    labels = {label for item in plan.graph.nodes for label in plan.graph.labels[item]}
    assert {"board/both/small/prune_channels", "board/both/large/onnx/int8"} <= labels
    assert "board/both/large/prune_channels" not in labels
    for rule in nodes(plan, "choose_rule"):
        asked = [plan.graph.nodes[item] for role, item in rule.inputs.items() if role.startswith("answers/")]
        assert [node.step.split for node in asked] == ["validation", "validation"]  # type: ignore[attr-defined]


def test_what_joins_them_is_part_of_the_keys_of_what_it_decides(make: Make) -> None:
    plan = make()
    for step in ("choose_rule", "joined_outputs"):
        for node in nodes(plan, step):
            parts = keys.parts(node, {})
            assert parts.get("option.joining.loss", "0.01") == "0.01"
            assert {"code.edgebuild.assemblies.cascade", "code.edgebuild.travels.route_cascade"} <= parts.keys()
    (bundle,) = nodes(plan, "assemble")
    assert "payload.route_cascade.py" in bundle.facts
    assert "payload.serve_part.py" not in bundle.facts
    (served,) = nodes(make(WHOLE.replace("parts =", "server = true\nparts =")), "assemble")
    assert {"payload.serve_part.py", "payload.edge_link.py"} <= served.facts.keys()


def test_a_base_gives_what_is_not_said_and_the_folder(make: Make, tmp_path: Path) -> None:
    make(WHOLE.replace("by_name = true", "by_name = true\n[training]\nepochs = 3\n"))
    model, base = open_project(tmp_path).model("both"), open_project(tmp_path).model("tiny")
    assert (model.declared.labels, model.declared.builder) == (base.declared.labels, base.declared.builder)
    assert (model.folder, model.origin, model.declared.training.epochs) == (base.folder, base.origin, 3)
    assert model.declared.description == "both"
    assert base.declared.training.epochs != 3


OTHER = (tiny.MODELS / "tiny" / "model.toml").read_text()
LABELS = tiny.spec("tiny").declared.labels
SWAPPED = OTHER.replace(LABELS[0], "?").replace(LABELS[1], LABELS[0]).replace("?", LABELS[1])
WIDER = OTHER.replace("shape = [1, 12, 12]", "shape = [1, 16, 16]")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"cascade"', '"cascde"', "assembly.use: unknown kind of assembly 'cascde' (did you mean 'cascade'?"),
        ('use = "cascade"\n', "", "assembly.use must name what joins the parts"),
        ('use = "cascade"', 'use = "cascade"\nloss = 0', "assembly.loss: input should be greater than 0, got 0"),
        (', {name = "large"}', "", "assembly.parts: 'cascade' joins 2 parts, and 1 are declared"),
        ('"large"}', '"small"}', "assembly.parts[1]: two parts are called 'small' (give each a name)"),
        ('recipe = "small"', 'recipe = "smal"', "assembly.parts[0].recipe: unknown recipe 'smal' (did you mean"),
        ('name = "large"', 'model = "tny"', "assembly.parts[1].model: unknown model 'tny' (did you mean 'tiny'"),
        ('name = "large"', 'model = "both"', "assembly.parts[1].model: 'both' is an assembly: name its parts here"),
        ('name = "large"', "size = 1", "assembly.parts[1]: unknown key 'size'"),
        ("parts = [", "parts = 3 # [", "assembly.parts: must be a list of tables"),
        ('base = "tiny"', 'base = "tny"', "base: there is no model 'tny' (did you mean 'tiny'?"),
        ('base = "tiny"', 'base = "both"', "base: 'both' has a base of its own: take the model that it is made of"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_at_plan_time(make: Make, old: str, new: str, told: str) -> None:
    assert old in WHOLE
    with pytest.raises(UsageError) as caught:
        make(WHOLE.replace(old, new))
    assert caught.value.line.removeprefix("models/both/model.toml: ").startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SWAPPED, f"part 'other' has the labels in another order: number 0 is {LABELS[1]!r}, and {LABELS[0]!r} in the"),
        (WIDER, "inputs of part 'other' are [1, 16, 16] float32, and those of the whole [1, 12, 12] float32"),
    ],
)
def test_a_part_of_another_model_must_answer_the_same(make: Make, text: str, told: str) -> None:
    whole = WHOLE.replace('name = "large"', 'model = "other"')
    make(whole, other=OTHER)
    with pytest.raises(UsageError) as caught:
        make(whole, other=text)
    assert caught.value.line.startswith(f"models/both/model.toml: assembly.parts: {told}")


SPLIT = WHOLE.replace('use = "cascade"', 'use = "split"\nlink = "1 Mbit/s"')


def test_a_split_model_is_judged_whole_and_ships_its_halves_and_a_fall_back(make: Make) -> None:
    plan = make(SPLIT)
    labels = {label for item in plan.graph.nodes for label in plan.graph.labels[item]}
    assert {"board/both/onnx/edge", "board/both/onnx/server", "board/both/onnx/cuts", "board/both/judge"} <= labels
    assert not any("/tflite/" in label for label in labels)  # files of that format cannot be cut
    (bundle,) = nodes(plan, "assemble")
    shipped = {role for role in bundle.inputs if role.startswith("candidate/")}
    assert shipped == {f"candidate/onnx{part}" for part in ("", "/edge", "/server", "/fallback")}
    assert {"payload.serve_part.py", "payload.edge_link.py", "payload.route_split.py"} <= bundle.facts.keys()
    (cuts,) = nodes(plan, "tabulate_cuts")
    assert cuts.step.link == 1e6  # type: ignore[attr-defined]
    (both,) = nodes(plan, "with_fallback")
    judges = {role: plan.graph.label(item) for role, item in both.inputs.items()}
    assert judges == {"whole": "board/both/judge", "fallback": "board/both/fallback/judge"}
    assert plan.graph.nodes[bundle.inputs["verdicts"]] is both
    assert plan.products[0].verdicts == bundle.inputs["verdicts"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"1 Mbit/s"', '"1 MB/s"', "assembly.link: unknown unit 'MB/s' in '1 MB/s'; use one of kbit/s, Mbit/s, Gbit/s"),
        ('1 Mbit/s"', '1 Mbit/s"\ntimeout = 3', "assembly.timeout: 3 is not a quantity"),
        ('{name = "large"}', '{name = "large"}, {name = "c"}', "assembly.parts: 'split' joins 1 or 2 parts, and 3"),
    ],
)
def test_a_mistake_in_a_split_is_one_line(make: Make, old: str, new: str, told: str) -> None:
    assert old in SPLIT
    with pytest.raises(UsageError) as caught:
        make(SPLIT.replace(old, new))
    assert caught.value.line.startswith(f"models/both/model.toml: {told}")


def test_a_target_without_a_file_that_can_be_cut_is_refused(make: Make) -> None:
    with pytest.raises(
        UsageError, match="targets/board.toml: runtimes: only onnx files are cut, and here is only tflite"
    ):
        make(SPLIT, TARGET.replace('{format = "onnx"}, ', ""))


def test_what_only_a_process_of_one_file_has_is_refused(make: Make) -> None:
    timed = TARGET.replace("gates = [", 'gates = [{metric = "cold_start", limit = "1 s"}, ')
    with pytest.raises(UsageError, match="assembly: cold_start '1 s' is measured of one file in a process"):
        make(target=timed)


EXITING = """\
description = "both"
base = "tiny"
by_name = true
[assembly]
use = "early_exit"
after = "blocks.0"
parts = [{recipe = "small"}]
"""


def test_a_network_with_an_exit_is_cut_behind_what_works_on_modules_and_quantized_in_halves(make: Make) -> None:
    plan = make(EXITING)
    (add,) = nodes(plan, "add_exit")
    assert (add.step.after, plan.graph.label(add.inputs["model"])) == (  # type: ignore[attr-defined]
        "blocks.0",
        "board/both/small/distill",
    )
    labels = {label for item in plan.graph.nodes for label in plan.graph.labels[item]}
    assert {f"board/both/{half}/{name}/int8" for half in ("exit", "rest") for name in ("onnx", "tflite")} <= labels
    for node in nodes(plan, "carry_features"):
        halves = [plan.graph.nodes[node.inputs[split]] for split in ("test", "validation")]
        assert [one.step.split for one in halves] == ["test", "validation"]  # type: ignore[attr-defined]
    (bundle,) = nodes(plan, "assemble")
    shipped = {role for role in bundle.inputs if role.startswith("candidate/")}
    assert shipped == {f"candidate/{name}/{half}" for half in ("exit", "rest") for name in ("onnx", "tflite")}
    assert {"payload.route_early_exit.py", "payload.route_cascade.py"} <= bundle.facts.keys()
    (timed,) = nodes(plan, "latency")
    carried = {plan.graph.label(item) for role, item in timed.inputs.items() if role.startswith("fed/")}
    assert carried == {"board/both/onnx/features", "board/both/tflite/features"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('after = "blocks.0"', 'behind = "blocks.0"', "models/both/model.toml: assembly: unknown key 'behind'"),
        (
            'parts = [{recipe = "small"}]',
            'parts = [{}, {name = "b"}]',
            "models/both/model.toml: assembly.parts: 'early_exit' joins 1 parts, and 2 are",
        ),
    ],
)
def test_a_mistake_in_an_early_exit_is_one_line(make: Make, old: str, new: str, told: str) -> None:
    assert old in EXITING
    with pytest.raises(UsageError) as caught:
        make(EXITING.replace(old, new))
    assert caught.value.line.startswith(told)
