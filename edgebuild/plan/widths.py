"""Plans what layers take, of a model or of what may stand in it, on the core that counts for a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.spec.core import TimeModel
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Runtime, Target
from edgebuild.spec.technique import Timed
from edgebuild.steps.evidence.layer_shapes import LayerShapes
from edgebuild.steps.evidence.layer_times import LayerTimes


def add(
    graph: Graph,
    target: Target,
    instruments: Instruments,
    model: str,
    timed: Timed,
    numbers: Mapping[str, Quantization | None],
) -> dict[str, str]:
    """Ids by role `widths/<format>`, of each runtime; none where nothing counts for the target.

    `numbers` says by format what becomes of its files. The key holds shapes in the place of the model.
    """
    counter = _counter(instruments)
    if counter is None:
        return {}
    code = () if timed.shapes is None else (type(timed.shapes).__module__,)
    node = Node(LayerShapes(timed.shapes), {"model": model}, "evidence", code=code)
    shapes = graph.add(f"{target.name}/layer_shapes", node)
    return {
        f"widths/{runtime.format}": graph.add(
            f"{target.name}/{runtime.format}/layer_times",
            _node(target, *counter, runtime, shapes, timed.multiple, numbers[runtime.format]),
        )
        for runtime in target.runtimes
    }


def _counter(instruments: Instruments) -> tuple[Instrument, TimeModel] | None:
    try:
        return instruments.counter()
    except DeviceError:  # whoever must have a time says so; widths can do without
        return None


def _node(
    target: Target,
    instrument: Instrument,
    model: TimeModel,
    runtime: Runtime,
    shapes: str,
    multiple: int | None,
    how: Quantization | None,
) -> Node:
    hardware, kind = target.hardware, FORMATS.get(runtime.format)
    of_any_layer = None if how is None else replace(how, keep=(), ranges={})
    step = LayerTimes(
        runtime.format,
        instrument.device,
        model,
        hardware.core_clock,
        runtime.threads,
        multiple,
        of_any_layer,
    )
    return Node(
        step,
        {"shapes": shapes},
        "evidence",
        code=(FORMATS.module(runtime.format), *instrument.code(runtime.format)),
        tools=(kind.runtime, *kind.tools),
        facts=instrument.fingerprint,
    )
