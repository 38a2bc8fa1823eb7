"""Plans what an emulated device answers: on the examples that decide gates, or on a few, for a look at a float file."""

from __future__ import annotations

from collections.abc import Mapping

from edgebuild.engine.graph import Node
from edgebuild.plan.instruments import Instrument
from edgebuild.plan.limits import resampled, stopping
from edgebuild.plan.measurements import Measurements, Pair
from edgebuild.spec.registry import FORMATS, GATES, TASKS
from edgebuild.spec.signature import Loop
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence.sampled import Sampled
from edgebuild.steps.evidence.stream_outputs import StreamOutputs

_FEW = 8  # of a float file: they are slow (0.1 s each for the digits), and a kernel that is wrong is so on any of them
_SHARE_OF_FEW = 0.1  # of the time


def candidate(
    measurements: Measurements, instrument: Instrument, pair: Pair, model: str, host: Mapping[str, str]
) -> str:
    """What the file that is judged answers on the device, until the gates on right answers are decided; the node's id.

    `host` has the ids of what both files answer here, by role. Metrics of the device's own answers take all examples
    that there may be; where nothing is to be decided by answers, a few will do.
    """
    own = resampled(measurements.gates, measurements.heads)
    gates = () if own else stopping(measurements.gates, "accuracy")
    if not own and not gates:
        return few(measurements, instrument, pair, model, "device")
    answered = {role: host[role] for role in ("candidate", "baseline")} if gates else {}
    return _add(measurements, instrument, pair, model, "device", gates=gates, answered=answered)


def few(measurements: Measurements, instrument: Instrument, pair: Pair, model: str, role: str) -> str:
    """What a file answers on the device on a few examples; the node's id."""
    return _add(measurements, instrument, pair, model, role, most=_FEW, share=_SHARE_OF_FEW)


def streams(measurements: Measurements, instrument: Instrument, pair: Pair, model: str, loops: tuple[Loop, ...]) -> str:
    """What the file that is judged answers on the device going through streams, as far as it gets; the node's id."""
    runtime = instrument.runtime(pair.runtime)
    device, fidelity = instrument.device, instrument.fidelity
    step = StreamOutputs(device, fidelity, loops, runtime.threads, runtime.providers, instrument.most())
    node = Node(
        step,
        {"model": model, "data": measurements.data},
        "outputs",
        code=instrument.code(runtime.format),
        tools=(FORMATS.get(runtime.format).runtime,),
        facts=instrument.arithmetic,
    )
    return measurements.graph.add(f"{measurements.prefix}/{runtime.format}/outputs-device-streams", node)


def part(measurements: Measurements, instrument: Instrument, pair: Pair, model: str, share: float) -> str:
    """What a part of an assembly answers on the device, on as many examples as its share of the time allows."""
    return _add(measurements, instrument, pair, model, "device", share=share)


def _add(
    measurements: Measurements,
    instrument: Instrument,
    pair: Pair,
    model: str,
    role: str,
    *,
    gates: tuple[Gate, ...] = (),
    answered: Mapping[str, str] = {},
    most: int | None = None,
    share: float = 1.0,
) -> str:
    runtime, budget = instrument.runtime(pair.runtime), instrument.device.budget
    step = Sampled(
        instrument.device,
        instrument.fidelity,
        runtime.threads,
        runtime.providers,
        gates,
        instrument.most(most),
        None if budget is None else budget * share,
        len(measurements.target.runtimes),
    )
    node = Node(
        step,
        {"model": model, "data": measurements.data, **answered},
        "outputs",
        code=(*instrument.code(runtime.format), *_deciding(measurements, gates)),
        tools=(FORMATS.get(runtime.format).runtime,),
        facts=instrument.arithmetic,
    )
    return measurements.graph.add(f"{measurements.prefix}/{runtime.format}/outputs-{role}", node)


def _deciding(measurements: Measurements, gates: tuple[Gate, ...]) -> list[str]:
    """The modules that tell when gates are decided: theirs, and those of the tasks that know a right answer."""
    of_tasks = {TASKS.module(head.task) for head in measurements.heads} if gates else set()
    return sorted({GATES.module(gate.metric) for gate in gates} | of_tasks)
