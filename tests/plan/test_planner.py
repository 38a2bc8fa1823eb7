"""What a plan connects: shared work is one node, labels are unique, options come from target, model and hardware."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgebuild import travels
from edgebuild.devices.emulation import sysroot
from edgebuild.devices.local import Local
from edgebuild.devices.qemu import cache_folder
from edgebuild.engine import digests
from edgebuild.engine.store import Store
from edgebuild.plan import planner
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.planner import Plan
from edgebuild.spec.artifact import Step
from edgebuild.spec.model import Training
from edgebuild.spec.project import open_project
from edgebuild.spec.target import Gate, Hardware, Recipe, StepSpec, Target
from edgebuild.steps.evidence.accuracy import Accuracy
from edgebuild.steps.evidence.arena import Arena
from edgebuild.steps.evidence.latency import Latency
from edgebuild.steps.evidence.outputs import Outputs
from edgebuild.steps.evidence.parity import Parity
from edgebuild.steps.evidence.preflight import Preflight
from edgebuild.steps.evidence.processes import Processes
from edgebuild.steps.evidence.proof import Proof
from edgebuild.steps.evidence.scores import Scores
from edgebuild.steps.evidence.stage_times import StageTimes
from edgebuild.steps.import_weights import ImportWeights
from edgebuild.steps.load_data import LoadData
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.techniques.elastic import Elastic
from edgebuild.steps.techniques.int8 import Int8
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.steps.techniques.slice import Slice
from edgebuild.steps.train import Train
from edgebuild.travels import load_onnx, load_tflite
from tests import ROOT, tiny

SHIPPED = sorted(path.stem for path in (ROOT / "targets").glob("*.toml"))
Planner = Callable[..., Plan]


def steps(plan: Plan, kind: type[Step]) -> list[Step]:
    return [node.step for node in plan.graph.nodes.values() if type(node.step) is kind]


def labels(plan: Plan) -> list[str]:
    return [label for names in plan.graph.labels.values() for label in names]


def shipped(store: Store, names: list[str]) -> Plan:
    project = open_project(ROOT)
    return planner.make(store, [project.target(n) for n in names], [project.model("digits")], SHIPPED, project.policy())


def test_every_shipped_target_plans_with_each_label_standing_for_one_node(store: Store) -> None:
    plan = shipped(store, SHIPPED)
    assert [product.target for product in plan.products] == SHIPPED
    assert [label for label, count in Counter(labels(plan)).items() if count > 1] == []
    assert len(plan.graph.order()) == len(plan.graph.nodes)


def test_targets_share_what_is_the_same_for_both(store: Store) -> None:
    alone = {name: len(shipped(store, [name]).graph.nodes) for name in ("rpi4", "mobile-cpu")}
    both = shipped(store, ["rpi4", "mobile-cpu"])
    assert len(both.graph.nodes) < sum(alone.values())
    shared = {names[0] for names in both.graph.labels.values() if len({n.split("/")[0] for n in names}) > 1}
    assert {"rpi4/digits/distill", "rpi4/digits/tflite/int8", "rpi4/digits/tflite/outputs-candidate"} <= shared
    assert not any(label.endswith(("/bundle", "/judge")) for label in shared)


def test_one_training_serves_both_formats_and_the_float_model_teaches_itself(plan: Planner) -> None:
    made = plan()
    assert len(steps(made, Train)) == len(steps(made, PruneChannels)) == len(steps(made, Distill)) == 1
    assert len(steps(made, Int8)) == 2
    (distil,) = [node for node in made.graph.nodes.values() if isinstance(node.step, Distill)]
    assert made.graph.label(distil.inputs["teacher"]) == "tiny/float"
    assert made.graph.label(distil.inputs["model"]) == "board/tiny/prune_channels"


def test_targets_that_take_other_slices_share_one_training(store: Store) -> None:
    project = open_project(ROOT)

    def sliced(name: str, width: float) -> Target:
        lines = (("elastic", {}), ("slice", {"width": width}), ("int8", {}))
        steps = tuple(StepSpec(use, options, "recipe", f"steps[{k}]") for k, (use, options) in enumerate(lines))
        return replace(project.target(name), recipe=Recipe(steps))

    targets = [sliced("rpi4", 0.5), sliced("mobile-cpu", 0.25), sliced("host", 0.5)]
    targets[2] = replace(targets[2], hardware=replace(targets[2].hardware, channel_multiple=4))
    made = planner.make(store, targets, [project.model("digits")], SHIPPED, project.policy())
    assert (len(steps(made, Elastic)), len(steps(made, Slice))) == (1, 2)
    assert [stage.needed for stage in made.products[0].chains[0].stages] == [True, False, False]


def test_a_declared_teacher_is_trained_with_its_own_options(plan: Planner) -> None:
    made = plan(model='\n[teacher]\nbuilder = "build"\ntraining = {epochs = 7}')
    (distil,) = [node for node in made.graph.nodes.values() if isinstance(node.step, Distill)]
    assert made.graph.label(distil.inputs["teacher"]) == "tiny/teacher"
    teacher = made.graph.nodes[distil.inputs["teacher"]].step
    assert isinstance(teacher, Train)
    assert teacher.training == Training(epochs=7)


def test_a_teacher_is_trained_only_where_a_step_learns_from_it(plan: Planner) -> None:
    """ "int8 after training and nothing else" trains nothing else."""
    declared = '\n[teacher]\nbuilder = "build"\ntraining = {epochs = 7}'
    for recipe, taught in (('[{use = "int8"}]', 0), ('[{use = "qat"}, {use = "int8"}]', 1)):
        made = plan(model=declared, recipe=recipe)
        assert sum(label == "tiny/teacher" for label in labels(made)) == taught
        made.graph.order()


def test_given_weights_are_imported_and_not_trained(plan: Planner) -> None:
    made = plan(model='weights = "w.safetensors"', files={"w.safetensors": "any bytes"})
    assert steps(made, Train) == []
    (reader,) = steps(made, ImportWeights)
    assert isinstance(reader, ImportWeights)
    assert (reader.signature.outputs[0].shape, reader.shown) == ((4,), "models/tiny/w.safetensors")


def test_an_option_is_the_targets_own_else_the_models_else_the_hardwares_else_the_default(plan: Planner) -> None:
    def options(recipe: str, model: str = "") -> tuple[int, float]:
        (step,) = steps(plan(recipe=recipe, model=model), PruneChannels)
        assert isinstance(step, PruneChannels)
        return step.round_to, step.ratio

    of_model = "\n[steps.prune_channels]\nround_to = 2\nratio = 0.25"
    assert options('[{use = "prune_channels"}]') == (4, 0.5)
    assert options('[{use = "prune_channels"}]', of_model) == (2, 0.25)


def test_the_targets_own_option_wins_over_the_models(plan: Planner) -> None:
    of_model = "\n[steps.prune_channels]\nround_to = 2\nratio = 0.25"
    (step,) = steps(plan(recipe='[{use = "prune_channels", round_to = 1}]', model=of_model), PruneChannels)
    assert isinstance(step, PruneChannels)
    assert (step.round_to, step.ratio) == (1, 0.25)


def test_a_step_that_comes_twice_has_two_labels(plan: Planner) -> None:
    made = plan(recipe='[{use = "prune_channels", ratio = 0.3}, {use = "distill"}, {use = "prune_channels"}]')
    assert {"board/tiny/prune_channels", "board/tiny/prune_channels-2"} <= set(labels(made))
    assert len(steps(made, PruneChannels)) == 2


def test_an_empty_recipe_ships_the_float_model(plan: Planner) -> None:
    made = plan(recipe="[]")
    both = [names for names in made.graph.labels.values() if "board/tiny/onnx/convert" in names]
    assert both == [["board/tiny/onnx/convert", "board/tiny/onnx/baseline"]]


def test_a_models_budget_takes_the_place_of_the_targets_limit_or_adds_one(plan: Planner) -> None:
    made = plan(model='\n[budgets.board]\nsize = "100 KiB"\nparity = "1e-4"')
    judge = made.graph.nodes[made.products[0].verdicts].step
    limits = {gate.metric: gate.limit for gate in judge.gates}  # type: ignore[attr-defined]
    assert limits == {"accuracy": "1 pp", "size": "100 KiB", "latency": "3 %", "parity": "1e-4"}


TAILS = '[{metric = "latency", limit = "p95 +10 %"}, {metric = "cold_start", limit = "1 s", confidence = 0.99}]'


def test_starts_and_tails_are_measured_only_where_a_gate_asks(plan: Planner) -> None:
    assert steps(plan(), Processes) == []
    made = plan(gates=TAILS)
    (processes,) = steps(made, Processes)
    assert isinstance(processes, Processes)
    # What stops a measurement is limits and confidence, not what a pass is worth; the better of two formats ships.
    assert processes.gates == (
        Gate("latency", "p95 +10 %", 0.975, fidelity="estimated"),
        Gate("cold_start", "1 s", 0.995, fidelity="estimated"),
    )
    (timed,) = steps(made, Latency)
    assert isinstance(timed, Latency)
    assert timed.gates == ()


def test_an_emulators_starts_and_memory_are_not_the_devices(plan: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the device is emulated they are measured on this machine, and count as that."""
    emulator = Instrument(Local(), Hardware("aarch64", "cortex-a72"))
    monkeypatch.setattr(Local, "fidelity", lambda self, hardware: "host" if hardware.arch == "aarch64" else "emulated")
    monkeypatch.setattr(Instruments, "best", lambda self, what: replace(emulator, hardware=Hardware("x", "x")))
    (processes,) = steps(plan(gates=TAILS), Processes)
    assert isinstance(processes, Processes)
    assert processes.fidelity == "host"


@pytest.mark.parametrize("more", ['fidelity = "hardware"', "confidence = 0.99"])
def test_a_wider_limit_that_asks_for_better_evidence_says_something(plan: Planner, more: str) -> None:
    gates = f'[{{metric = "size", limit = "9 %"}}, {{metric = "size", limit = "10 %", {more}}}]'
    assert len(plan(gates=gates).products) == 1


def test_only_the_files_that_the_models_code_reads_are_its_source(plan: Planner, store: Store) -> None:
    files = {"helper.py": "", "words.txt": "", "notes.md": ""}
    made = plan(model='include = ["*.txt"]', files=files)
    (source,) = [item for item in made.graph.sources.values() if item.kind == "code"]
    assert sorted(path.name for path in store.path(source).iterdir()) == ["helper.py", "model.py", "words.txt"]


@pytest.mark.parametrize("pattern", ["**/*", "*"])
def test_compiled_code_is_never_part_of_the_source(plan: Planner, store: Store, pattern: str, tmp_path: Path) -> None:
    cache = tmp_path / "models" / "tiny" / "__pycache__"
    cache.mkdir(parents=True)
    (cache / "model.cpython-311.pyc").write_bytes(b"changes with time")
    made = plan(model=f'include = ["{pattern}"]')
    (source,) = [item for item in made.graph.sources.values() if item.kind == "code"]
    assert sorted(path.name for path in store.path(source).rglob("*")) == ["model.py", "model.toml"]


def test_a_model_whose_answers_are_values_is_measured_without_counting_right_ones(plan: Planner) -> None:
    declared = (tiny.MODELS / "centre" / "model.toml").read_text()
    made = plan(files={"model.toml": declared}, gates='[{metric = "parity", limit = "1e-3"}]')
    (loader,) = steps(made, LoadData)
    assert isinstance(loader, LoadData)
    assert [(head.task, loader.signature.of(head)[0].shape) for head in loader.heads] == [("regression", (2,))]
    assert steps(made, Accuracy) == []
    assert [step.heads[0].task for step in steps(made, Parity) if isinstance(step, Parity)] == ["regression"] * 2
    (scores, _) = steps(made, Scores)
    assert isinstance(scores, Scores)
    assert scores.metrics == (("output", "correlation", 0.95), ("output", "mae", 0.95))  # told, though no gate asks


def test_metrics_by_bootstrap_are_measured_where_a_gate_asks_and_as_sure_as_it_asks(plan: Planner) -> None:
    assert steps(plan(), Scores) == []
    gates = '[{metric = "f1", limit = "1 pp", confidence = 0.9}, {metric = "auc", limit = "1 pp"}]'
    (scores, _) = steps(plan(gates=gates), Scores)
    assert isinstance(scores, Scores)
    assert scores.metrics == (("output", "f1", 0.95), ("output", "auc", 0.975))  # the better of two formats ships


def test_a_torch_step_that_changes_only_values_is_weighed_as_the_file_after_it(plan: Planner) -> None:
    (product,) = plan().products
    for chain in product.chains:
        prune, distill, int8 = chain.stages
        assert [stage.name for stage in chain.stages] == ["prune_channels", "distill", "int8"]
        assert prune.file == distill.file == chain.converted
        assert (int8.file, int8.unconverted) == (chain.candidate, distill.output)


def test_a_step_after_which_operations_change_again_is_converted_for_its_proof(plan: Planner) -> None:
    recipe = '[{use = "prune_channels", ratio = 0.25}, {use = "prune_channels"}]'
    made = plan(recipe=recipe)
    first, second = made.products[0].chains[0].stages
    assert made.graph.label(first.file) == "board/tiny/onnx/prune_channels-convert"
    assert second.file == made.products[0].chains[0].converted
    assert (first.name, second.name) == ("prune_channels", "prune_channels-2")


def test_every_state_of_a_recipe_is_weighed(plan: Planner) -> None:
    made = plan()
    proofs = [node for node in made.graph.nodes.values() if isinstance(node.step, Proof)]
    assert [proof.step.stages for proof in proofs] == [("prune_channels", "distill", "int8")] * 2  # type: ignore[attr-defined]
    for proof in proofs:
        kinds = [f"{kind}/{k}" for kind in ("made", "outputs", "footprint") for k in range(4)]
        assert {*kinds, "data", "times"} == {*proof.inputs}
        answers = [made.graph.nodes[item].step for role, item in proof.inputs.items() if role.startswith("outputs/")]
        assert {step.split for step in answers} == {"validation"}  # type: ignore[attr-defined]
        assert proof.step.files == (0, 1, 1, 2)  # type: ignore[attr-defined]


def test_what_judges_has_seen_only_test_examples(plan: Planner) -> None:
    made = plan()
    for node in made.graph.nodes.values():
        if isinstance(node.step, Accuracy | Parity):
            answers = [made.graph.nodes[item].step for role, item in node.inputs.items() if role != "data"]
            assert {step.split for step in answers} == {"test"}  # type: ignore[attr-defined]


def test_every_recipe_that_is_shipped_plans_for_every_target(store: Store) -> None:
    project = open_project(ROOT)
    for name in project.recipe_files():
        targets = [replace(project.target(t), recipe=project.recipe(name)) for t in ("rpi4", "host")]
        made = planner.make(store, targets, [project.model("digits")], SHIPPED, project.policy())
        assert len(made.products) == 2


def test_a_device_that_takes_some_examples_answers_for_itself_in_parity(store: Store) -> None:
    """Its own outputs of candidate and float conversion, and how its baseline agrees; few of the slow float ones."""
    sysroot.prepare(cache_folder())
    plan = shipped(store, ["rpi4"])
    for node in plan.graph.nodes.values():
        if type(node.step) is Parity:
            there = {role: plan.graph.nodes[node.inputs[f"device_{role}"]].step for role in ("converted", "candidate")}
            here = plan.graph.nodes[node.inputs["converted"]].step
            assert [step.device.transport for step in (here, *there.values())] == ["local", "qemu", "qemu"]  # type: ignore[attr-defined]
            assert [step.most for step in (here, *there.values())] == [None, 8, 2000]  # type: ignore[attr-defined]
    assert "rpi4/digits/tflite/baseline-agreement" in labels(plan)
    assert "rpi4/digits/onnx/outputs-device-baseline" in labels(plan)


def test_a_device_that_takes_all_examples_is_the_only_one(store: Store) -> None:
    parities = [node for node in shipped(store, ["host"]).graph.nodes.values() if type(node.step) is Parity]
    assert all(set(node.inputs) == {"reference", "converted", "candidate"} for node in parities)


def test_data_are_an_input_only_of_what_looks_at_them() -> None:
    from edgebuild.nn.prune.schedule import Schedule
    from edgebuild.steps.techniques.prune_channels import PruneChannels
    from edgebuild.steps.techniques.prune_weights import PruneWeights

    for step in (PruneChannels(), PruneChannels(criterion="random"), PruneWeights(threshold=0.1)):
        assert step.uses() == ("model",)
    for looking in (
        PruneChannels(criterion="apoz"), PruneChannels(schedule=Schedule(epochs=1)), PruneChannels(budget=0.01),
        PruneWeights(criterion="taylor"), PruneWeights(budget=0.01),
    ):  # fmt: skip
        assert looking.uses() == ("model", "data")


def test_memory_is_planned_where_a_gate_asks(plan: Planner) -> None:
    assert steps(plan(), Arena) == []
    assert len(steps(plan(gates='[{metric = "arena", limit = "64 KiB"}]'), Arena)) == 2


def test_a_measurements_key_has_what_opens_its_own_format_and_no_other(plan: Planner) -> None:
    """The runner finds its loaders by their names: no import of it leads to them."""
    nodes = plan().graph.nodes.values()
    loaders = {
        kind: [{name for name in node.code if "load_" in name} for node in nodes if type(node.step) is kind]
        for kind in (Outputs, Latency, Preflight, StageTimes)
    }
    onnx, tflite = {"edgebuild.travels.load_onnx"}, {"edgebuild.travels.load_tflite"}
    assert loaders[Latency] == [onnx | tflite]
    for kind in (Outputs, Preflight, StageTimes):
        assert onnx in loaders[kind]
        assert tflite in loaders[kind]
        assert all(found in (onnx, tflite) for found in loaders[kind])
    everything = digests.of_code(next(node.code for node in nodes if type(node.step) is Latency))
    others = {f"edgebuild.travels.{Path(name).stem}" for name in travels.RUNNER if name not in travels.LOADERS}
    profilers = {f"edgebuild.travels.{loader.PROFILER}" for loader in (load_onnx, load_tflite)}  # asked for by no step
    assert len(others - profilers) > 5
    assert others - profilers <= everything.keys()
