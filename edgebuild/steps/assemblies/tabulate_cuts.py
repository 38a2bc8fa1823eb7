"""Tries every place to cut a model in two and chooses the fastest over a link: bytes, seconds, and equal answers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.formats import _onnx_cuts
from edgebuild.formats._onnx_cuts import Point
from edgebuild.spec import dataset, documents, evidence
from edgebuild.spec.artifact import EXCUSED, Determinism, Step, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import CutPlace, Cuts, Latencies
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array
    from edgebuild.travels.model_values import AnyModel

LINKS = (1e6, 1e7, 1e8)  # bits a second
_EXAMPLES, _ROUNDS = 64, 30


@dataclass(frozen=True, slots=True)
class TabulateCuts(Step):
    """Inputs: `model`, an ONNX file, its `latency` on the target, and the data: it is tried on validation examples.

    `link`: bits a second; `largest`: bytes that the edge's half may have at most. Halves run here, on `threads`.
    """

    link: float
    threads: int = 1
    largest: int | None = None
    shown: str = field(default="model.toml", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ("onnx",)
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("model", "latency", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "onnx", "onnxruntime")
    deterministic: ClassVar[Determinism] = "no"
    exclusive: ClassVar[bool] = True

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`; UsageError where there is no place to cut."""
        model = (io.path("model") / FORMATS.get("onnx").file).read_bytes()
        validation = dataset.read(io.path("data"), "validation")
        count = min(_EXAMPLES, len(validation))
        examples = [[values[row : row + 1] for values in validation.inputs] for row in range(count)]
        whole, places = _opened(model, self.threads), _onnx_cuts.points(model)
        expected = [whole.answer(example) for example in examples]
        here = _seconds(whole, examples)
        latency = documents.read(Latencies, io.path("latency") / evidence.FILE).formats["onnx"]
        scale = statistics.median(latency.candidate_seconds) / here
        table = []
        for number, place in enumerate(places):
            io.progress(number / len(places), f"{number} of {len(places)} cuts")
            table.append(self._tried(model, place, examples, expected, scale))
        chosen = self._chosen(table)
        sent = _frame(examples[0]) + _frame(expected[0])
        there = {_named(link): 8 * sent / link + here for link in (*LINKS, self.link)}
        cuts = Cuts(
            chosen, self.link, tuple(table), here * scale, there, scale, latency.fidelity, count, _frame(expected[0])
        )
        documents.write(io.output / evidence.FILE, cuts)

    def _tried(
        self, model: bytes, place: Point, examples: Sequence[list[Array]], expected: Sequence[list[Array]], scale: float
    ) -> CutPlace:
        files = _onnx_cuts.halves(model, place.tensor)
        edge, server = (_opened(file, self.threads) for file in files)
        crossing = [edge.answer(example) for example in examples]
        answers = [server.answer(values) for values in crossing]
        there, back = _frame(crossing[0]), _frame(answers[0])
        seconds = _seconds(edge, examples) * scale, _seconds(server, crossing)
        multiplies = all(sum(each.macs for each in FORMATS.get("onnx")().work(file)) for file in files)
        small = self.largest is None or len(files[0]) <= self.largest
        return CutPlace(
            tensor=place.tensor,
            shape=place.shape,
            dtype=place.dtype,
            bytes=there,
            edge_bytes=len(files[0]),
            server_bytes=len(files[1]),
            edge_seconds=seconds[0],
            server_seconds=seconds[1],
            total={_named(link): sum(seconds) + 8 * (there + back) / link for link in (*LINKS, self.link)},
            equal=all(map(_same, answers, expected)),
            useful=bool(multiplies) and small,
        )

    def _chosen(self, table: Sequence[CutPlace]) -> str:
        """The fastest of those that answer as the whole does, and have work on both sides."""
        fitting = [cut for cut in table if cut.equal and cut.useful]
        if fitting:
            return min(fitting, key=lambda cut: cut.total[_named(self.link)]).tensor
        small = f" within {self.largest} bytes" if self.largest is not None else ""
        reason = f"of {len(table)} places where one tensor carries all, none leaves both halves work{small}"
        raise UsageError(reason, file=self.shown, key="assembly", hint="ship it whole, or allow a larger edge half")


def _named(link: float) -> str:
    return f"{link:.0f}"


def _opened(model: bytes, threads: int) -> AnyModel:
    from edgebuild.travels.load_onnx import Model

    return Model(model, {"threads": threads})


def _frame(arrays: Sequence[Any]) -> int:
    """Bytes of a frame with these arrays."""
    from edgebuild.travels import edge_link

    return edge_link.frame(arrays)


def _same(ours: Sequence[Array], theirs: Sequence[Array]) -> bool:
    import numpy as np

    return all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))


def _seconds(model: AnyModel, examples: Sequence[Sequence[Array]]) -> float:
    """The median time of an inference, over some of the examples in turn."""
    times = []
    for number in range(_ROUNDS):
        began = time.perf_counter()
        model.answer(examples[number % len(examples)])
        times.append(time.perf_counter() - began)
    return statistics.median(times)
