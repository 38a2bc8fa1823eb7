"""Plans the proof of each technique: what the recipe made on its way, weighed, answered, counted or timed."""

from __future__ import annotations

from dataclasses import replace

from edgebuild.engine.graph import Node
from edgebuild.plan.instruments import Instrument
from edgebuild.plan.measurements import Measurements
from edgebuild.plan.recipe import Chain, Stage
from edgebuild.plan.weights import Weights
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Timing
from edgebuild.steps.evidence.proof import Proof
from edgebuild.steps.evidence.stage_times import StageTimes

_BRIEF = Timing(looks=(6,), iterations=100, warmup_iterations=20, warmup=0.5)  # which technique paid, no verdict


def proof(measurements: Measurements, chain: Chain, weights: Weights) -> tuple[Proof, dict[str, str]]:
    """The step and its inputs: state 0 is the float model, each stage of the chain makes the next."""
    counter = measurements.counter()
    states = [Stage("float", -1, weights.float, weights.float, chain.baseline), *chain.stages]
    inputs = {"data": measurements.data}
    for number, stage in enumerate(states):
        inputs[f"made/{number}"] = stage.output
        inputs[f"outputs/{number}"] = _answers(measurements, chain, weights, stage)
        inputs[f"footprint/{number}"] = _weighed(measurements, chain, stage, states[0])
        if counter is not None:
            inputs[f"count/{number}"] = measurements.count(counter[0], chain, stage.file, stage.name, counter[1])
            if number > 0:
                both = {"candidate": stage.file, "baseline": states[number - 1].file}
                inputs[f"shared/{number}"] = measurements.shared(chain, both, f"shared-{stage.name}")
    files = list(dict.fromkeys(stage.file for stage in states))
    if counter is None and len(files) > 1 and (clock := measurements.clock()) is not None:
        label = f"{measurements.prefix}/{chain.runtime.format}/stage-times"
        inputs["times"] = measurements.graph.add(label, _times(measurements, clock, chain, files))
    step = Proof(
        tuple(stage.name for stage in chain.stages),
        tuple(files.index(stage.file) for stage in states),
        counter[1] if counter else None,
        measurements.target.hardware.core_clock if counter else None,
        chain.runtime.threads,
    )
    return step, inputs


def _answers(measurements: Measurements, chain: Chain, weights: Weights, stage: Stage) -> str:
    """Outputs on the validation examples, by the runtime for a file, by the source's own for what is none yet.

    What proves useless is left out, so this is a choice, and the examples that judge must have no part in it.
    """
    if measurements.graph.kind(stage.output) == chain.runtime.format:
        role = f"{stage.name}-validation"
        return measurements.outputs(measurements.everywhere(), chain, stage.output, role, split="validation")
    return measurements.reference(weights, stage.output, f"{stage.name}-outputs", "validation")


def _weighed(measurements: Measurements, chain: Chain, stage: Stage, first: Stage) -> str:
    """Bytes and operations of one state beside those of the first."""
    files = {"candidate": stage.file, "baseline": first.file}
    return measurements.weight(chain, files, (stage.unconverted, first.unconverted), f"{stage.name}-footprint")


def _times(measurements: Measurements, instrument: Instrument, chain: Chain, files: list[str]) -> Node:
    """A short measurement of all files that the recipe made on its way."""
    runtime, timing = instrument.runtime(chain.runtime), measurements.target.timing
    brief = replace(
        timing,
        looks=(min(_BRIEF.looks[0], timing.looks[0]),),
        iterations=min(_BRIEF.iterations, timing.iterations),
        warmup_iterations=min(_BRIEF.warmup_iterations, timing.warmup_iterations),
        warmup=min(_BRIEF.warmup, timing.warmup),
    )
    return Node(
        StageTimes(instrument.device, instrument.fidelity, runtime, brief),
        {f"file/{number}": file for number, file in enumerate(files)} | {"data": measurements.data},
        "evidence",
        code=instrument.code(runtime.format),
        tools=(FORMATS.get(runtime.format).runtime,),
        facts=instrument.fingerprint,
    )
