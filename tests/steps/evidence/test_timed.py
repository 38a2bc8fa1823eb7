"""Time measured on real files: the gates' own confidence and limits decide what is measured, and for how long."""

from __future__ import annotations

from pathlib import Path

from edgebuild.devices.local import Local
from edgebuild.spec.evidence import AllProcesses, Evidence, Latencies, Status, Timed
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Gate, Runtime, Timing
from edgebuild.steps.evidence.latency import Latency
from edgebuild.steps.evidence.processes import Processes
from tests import tiny
from tests.steps.evidence import folders

BRIEF = Timing(looks=(7,), iterations=30, warmup_iterations=5, warmup=0.01)


def inputs(made: tiny.Made) -> dict[str, tuple[str, Path]]:
    """The int8 file against the float one."""
    return {"candidate/onnx": ("onnx", made["onnx-int8"]), "baseline/onnx": ("onnx", made["onnx"]),
            "data": ("data", made["data"])}  # fmt: skip


def verdicts(evidence: Evidence, gates: tuple[Gate, ...]) -> list[Status]:
    """What the gates say of the evidence."""
    return [GATES.get(gate.metric)().judge(gate, evidence).status for gate in gates]


def timed(out: Path) -> Timed:
    latency = folders.read(Latencies, out).formats["onnx"]
    assert isinstance(latency, Timed)
    return latency


def test_limits_in_time_are_measured_and_judged(made: tiny.Made, tmp_path: Path) -> None:
    gates = (Gate("latency", "10 s"), Gate("latency", "p90 9 s"), Gate("latency", "p95 1 ns"))
    step = Latency(Local(), "hardware", (Runtime("onnx"),), BRIEF, gates)
    latency = timed(tiny.perform(step, tmp_path / "out", inputs(made)))
    assert verdicts(Evidence(latency=latency), gates) == ["pass", "pass", "fail"]
    assert latency.processes == 7  # the fewest that bound a median at 99 %
    assert latency.void is None
    assert {each.limit: [*each.over] for each in latency.slow} == {9.0: [0] * 7, 1e-9: [30] * 7}


def test_without_a_gate_it_ends_at_the_first_look(made: tiny.Made, tmp_path: Path) -> None:
    brief = Timing(looks=(1, 7), iterations=3, warmup_iterations=1, warmup=0.001)
    step = Latency(Local(), "hardware", (Runtime("onnx"),), brief)
    assert timed(tiny.perform(step, tmp_path / "out", inputs(made))).processes == 1


def test_starts_memory_and_tails_of_processes(made: tiny.Made, tmp_path: Path) -> None:
    gates = (Gate("cold_start", "30 s"), Gate("memory", "1 GiB"), Gate("latency", "p90 +100000 %", confidence=0.8))
    step = Processes(Local(), "hardware", (Runtime("onnx"),), BRIEF, gates)
    processes = folders.read(AllProcesses, tiny.perform(step, tmp_path / "out", inputs(made))).formats["onnx"]
    assert verdicts(Evidence(processes=processes), gates) == ["pass"] * 3
    assert processes.pairs == 7
    values = (processes.cold_start, processes.memory, processes.percentiles["p90"])
    assert [len(each.candidate) for each in values] == [7, 7, 7]
    assert min(processes.memory.candidate) >= 4096
    samples = folders.samples(tmp_path / "out")
    assert [[*process["values"]] for process in samples[0]] == [["candidate-onnx"], ["baseline-onnx"]]
    assert [[*process["values"]] for process in samples[1]] == [["baseline-onnx"], ["candidate-onnx"]]
