"""Plans the proof of each technique: what the recipe made on its way, weighed, answered, counted or timed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgebuild.engine.graph import Node
from edgebuild.plan.instruments import Instrument
from edgebuild.plan.recipe import Chain, Stage
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Timing
from edgebuild.steps.evidence.footprint import Footprint
from edgebuild.steps.evidence.proof import Proof
from edgebuild.steps.evidence.stage_times import StageTimes
from edgebuild.steps.evidence.torch_outputs import TorchOutputs

if TYPE_CHECKING:
    from edgebuild.plan.measuring import Measuring

_BRIEF = Timing(looks=(6,), iterations=100, warmup_iterations=20, warmup=0.5)  # which technique paid, no verdict


def proof(measuring: Measuring, chain: Chain, float_model: str) -> tuple[Proof, dict[str, str]]:
    """The step and its inputs: state 0 is the torch model `float_model`, each stage of the chain makes the next."""
    counter = measuring.counter()
    states = [Stage("float", -1, float_model, float_model, chain.baseline), *chain.stages]
    inputs = {"data": measuring.data}
    for number, stage in enumerate(states):
        inputs[f"made/{number}"] = stage.made
        inputs[f"outputs/{number}"] = _answers(measuring, chain, stage)
        inputs[f"footprint/{number}"] = _weighed(measuring, chain, stage, states[0])
        if counter is not None:
            inputs[f"count/{number}"] = measuring.count(counter[0], chain, stage.file, stage.name, counter[1])
            if number > 0:
                both = {"candidate": stage.file, "baseline": states[number - 1].file}
                inputs[f"shared/{number}"] = measuring.shared(chain, both, f"shared-{stage.name}")
    files = list(dict.fromkeys(stage.file for stage in states))
    if counter is None and len(files) > 1 and (clock := measuring.clock()) is not None:
        label = f"{measuring.prefix}/{chain.runtime.format}/stage-times"
        inputs["times"] = measuring.graph.add(label, _times(measuring, clock, chain, files))
    step = Proof(
        tuple(stage.name for stage in chain.stages),
        tuple(files.index(stage.file) for stage in states),
        counter[1] if counter else None,
        measuring.target.hardware.core_clock if counter else None,
        chain.runtime.threads,
    )
    return step, inputs


def _answers(measuring: Measuring, chain: Chain, stage: Stage) -> str:
    """Outputs on the validation examples, by the runtime for a file, by the framework for a torch model.

    What proves useless is left out, so this is a choice, and the examples that judge must have no part in it.
    """
    if measuring.graph.kind(stage.made) != "torch":
        role = f"{stage.name}-validation"
        return measuring.outputs(measuring.everywhere(), chain, stage.made, role, split="validation")
    node = Node(TorchOutputs("validation"), {"model": stage.made, "data": measuring.data}, "outputs")
    return measuring.graph.add(f"{measuring.prefix}/{stage.name}-outputs", node)


def _weighed(measuring: Measuring, chain: Chain, stage: Stage, first: Stage) -> str:
    """Bytes and operations of one state beside those of the first."""
    files = {"candidate": stage.file, "baseline": first.file}
    torches = {"candidate_torch": stage.torch, "baseline_torch": first.torch}
    label = f"{measuring.prefix}/{chain.runtime.format}/{stage.name}-footprint"
    return measuring.graph.add(label, Node(Footprint(), files | torches, "evidence"))


def _times(measuring: Measuring, instrument: Instrument, chain: Chain, files: list[str]) -> Node:
    """A short measurement of all files that the recipe made on its way."""
    runtime, timing = instrument.runtime(chain.runtime), measuring.target.timing
    brief = replace(
        timing,
        looks=(min(_BRIEF.looks[0], timing.looks[0]),),
        iterations=min(_BRIEF.iterations, timing.iterations),
        warmup_iterations=min(_BRIEF.warmup_iterations, timing.warmup_iterations),
        warmup=min(_BRIEF.warmup, timing.warmup),
    )
    return Node(
        StageTimes(instrument.device, instrument.fidelity, runtime, brief),
        {f"file/{number}": file for number, file in enumerate(files)} | {"data": measuring.data},
        "evidence",
        code=instrument.code,
        tools=(FORMATS.get(runtime.format).runtime,),
        facts=instrument.fingerprint,
    )
