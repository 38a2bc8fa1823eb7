"""The runner as a process: real tiny ONNX and TFLite models, quantized ones, errors, and its independence."""

from __future__ import annotations

import ast
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild import travels
from edgebuild.spec import model_file
from edgebuild.spec.registry import FORMATS
from edgebuild.travels import (
    load_onnx,
    load_tflite,
    model_values,
    runner,
    runner_count,
    runner_device,
    runner_latency,
    runner_layers,
    runner_litert,
    runner_loaders,
    runner_models,
    runner_ort,
)
from tests.zoo import Ended, dense

Start = Callable[..., Ended]
X = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


def said(folder: Path) -> dict[str, Any]:
    """What torch computed."""
    with np.load(folder / "torch.npz") as archive:
        return dict(archive)


# ---- outputs


def test_onnx_outputs(start: Start, zoo: Path) -> None:
    ended = start("outputs", {"m": zoo / "mlp.onnx"}, [X])
    (y,) = ended.outputs("m")
    assert ended.code == 0
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, dense(X, 16), rtol=1e-4, atol=1e-4)
    assert ended.result["models"]["m"]["examples"] == 7
    assert ended.result["models"]["m"]["batch"] == 1


def test_onnx_batch_of_an_open_model_follows_the_job(start: Start, zoo: Path) -> None:
    ended = start("outputs", {"m": zoo / "mlp.onnx"}, [X], m={"batch": 3})
    np.testing.assert_allclose(ended.outputs("m")[0], dense(X, 16), rtol=1e-4, atol=1e-4)
    assert ended.result["models"]["m"]["batch"] == 3


def test_onnx_static_batch_with_a_short_rest(start: Start, zoo: Path) -> None:
    ended = start("outputs", {"m": zoo / "fixed4.onnx"}, [X], m={"batch": 3})
    np.testing.assert_allclose(ended.outputs("m")[0], dense(X, 16), rtol=1e-4, atol=1e-4)
    assert ended.result["models"]["m"]["batch"] == 4


def test_half_precision_io_is_cast_both_ways(start: Start, zoo: Path) -> None:
    (y,) = start("outputs", {"m": zoo / "half.onnx"}, [X]).outputs("m")
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, dense(X, 16), rtol=0.05, atol=0.05)


def test_position_is_argument_order_not_name_order(start: Start, zoo: Path) -> None:
    (y,) = start("outputs", {"m": zoo / "minus.onnx"}, [X, X * 3]).outputs("m")
    np.testing.assert_allclose(y, X - X * 3)


def test_int64_tokens_become_int32(start: Start, zoo: Path) -> None:
    tokens = np.arange(6, dtype=np.int64).reshape(2, 3)
    (y,) = start("outputs", {"m": zoo / "tokens.onnx"}, [tokens]).outputs("m")
    np.testing.assert_array_equal(y, tokens)


@pytest.mark.parametrize("wrong", [2**31, 0.5])
def test_values_that_a_cast_would_change_are_refused(start: Start, zoo: Path, wrong: float) -> None:
    ended = start("outputs", {"m": zoo / "tokens.onnx"}, [np.array([[1, 2, wrong]])])
    assert ended.code == 3
    assert ended.result["error"]["kind"] == "bad-input"


def test_output_without_a_batch_axis_is_stacked(start: Start, zoo: Path) -> None:
    (y,) = start("outputs", {"m": zoo / "total.onnx"}, [X]).outputs("m")
    np.testing.assert_allclose(y, X.sum(1), rtol=1e-5)


@pytest.mark.parametrize("file", ["mlp", "mlp4", "open"])
def test_tflite_outputs(start: Start, lite: Path, file: str) -> None:
    torch = said(lite)
    ended = start("outputs", {"m": lite / f"{file}.tflite"}, [torch["x"][:15]], m={"batch": 2})
    np.testing.assert_allclose(ended.outputs("m")[0], torch["mlp"][:15], rtol=1e-5, atol=1e-6)
    assert ended.result["models"]["m"]["batch"] == {"mlp": 1, "mlp4": 4, "open": 2}[file]


def test_twelve_tflite_arguments_and_results_keep_their_positions(start: Start, lite: Path) -> None:
    inputs = [X + k for k in range(12)]
    found = start("outputs", {"m": lite / "twelve.tflite"}, inputs).outputs("m")
    for k, y in enumerate(found):
        np.testing.assert_allclose(y, (X + k) * (k + 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["args_1", "args_10", "args_2", "args_0"], []),  # a gap
        ([f"a{k}" for k in sorted(map(str, range(11)))], [f"a{k}" for k in range(11)]),
        (["input_3", "input_1"], []),
        (["x", "y"], []),
        (["x0", "y1"], []),
        (["x0", "y"], []),
        ([], []),
    ],
)
def test_only_a_complete_numbering_gives_an_order(names: list[str], order: list[str]) -> None:
    assert load_tflite.numbered(names) == order


def test_tflite_tokens_and_floats(start: Start, lite: Path) -> None:
    torch = said(lite)
    (y,) = start("outputs", {"m": lite / "tokens.tflite"}, [torch["tokens"].astype("i8"), torch["x"]]).outputs("m")
    np.testing.assert_allclose(y, torch["embed"], rtol=1e-5, atol=1e-6)


def test_int8_tflite_takes_real_or_stored_values_and_gives_real_ones(start: Start, lite: Path) -> None:
    """int8 arrays for an int8 input are already what the model stores."""
    from ai_edge_litert.interpreter import Interpreter

    torch = said(lite)
    interpreter = Interpreter(str(lite / "int8.tflite"))
    interpreter.allocate_tensors()
    entry, end = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert entry["dtype"] == end["dtype"] == np.int8
    scale, zero = entry["quantization"]
    stored = np.clip(np.rint(torch["x"] / np.float32(scale)) + zero, -128, 127).astype(np.int8)
    expected = []
    for row in stored:
        interpreter.set_tensor(entry["index"], row[None])
        interpreter.invoke()
        raw = interpreter.get_tensor(end["index"])[0].astype(float)
        expected.append((raw - end["quantization"][1]) * end["quantization"][0])
    for inputs in (torch["x"], stored):
        (y,) = start("outputs", {"m": lite / "int8.tflite"}, [inputs]).outputs("m")
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert np.corrcoef(y.ravel(), torch["mlp"].ravel())[0, 1] > 0.9


@pytest.mark.parametrize(("dtype", "low", "high"), [(np.int8, -128, 127), (np.uint8, 0, 255)])
def test_quantization_rounds_and_saturates(dtype: type, low: int, high: int) -> None:
    port = model_values.Port("x", 0, (1,), dtype, scale=0.5, zero_point=3)
    raw = model_values.to_raw(np.array([0.0, 0.6, -1000, 1000], np.float32), port)
    assert raw.tolist() == [3, 4, low, high]
    assert model_values.to_real(np.array([3, 4], dtype), port).tolist() == [0.0, 0.5]


# ---- latency and count


def test_latency_keeps_warm_up_apart_and_interleaves(start: Start, zoo: Path, lite: Path) -> None:
    models = {"a": zoo / "mlp.onnx", "b": zoo / "wide.onnx", "c": lite / "mlp.tflite"}
    options: dict[str, Any] = {"iterations": 50, "warmup_iterations": 5, "warmup_seconds": 0.0, "seed": 3}
    ended = start("latency", models, [X], **options)
    assert ended.code == 0
    for found in ended.result["models"].values():
        assert len(found["values_ns"]) == 50
        assert len(found["warmup_ns"]) == 5
        assert found["median_ns"] == np.median(found["values_ns"]) > 0
        assert found["load_ns"] > 0
    assert ended.result["models"]["b"]["median_ns"] > 2 * ended.result["models"]["a"]["median_ns"]
    assert 10**7 < ended.result["peak_rss_bytes"] < 10**9
    named = {name.replace("-", "_").replace("ai_edge_", "") for name in runner_loaders.PACKAGES}
    assert set(ended.result["runtimes"]) == named >= {"numpy", "onnxruntime", "litert", "tflite_runtime"}
    assert ended.result["runtimes"]["litert"] == "2.3.0"


def test_memory_of_models_is_counted_from_what_was_there_before() -> None:
    """A peak before the models (here 100 MB, given back) is none of theirs."""
    code = (
        "import runner_device as device; held = bytearray(10**8); del held; before = device.rss('VmHWM')\n"
        "base = device.rss_without_models([]); print(before, base, device.rss('VmHWM'))"
    )
    folder = Path(runner.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60)
    before, base, after = map(int, done.stdout.split())
    assert base <= after < before - 5 * 10**7


def test_warm_up_lasts_both_iterations_and_seconds(start: Start, zoo: Path) -> None:
    options = {"iterations": 1, "warmup_iterations": 5, "warmup_seconds": 0.3}
    found = start("latency", {"m": zoo / "mlp.onnx"}, [X], **options).result["models"]["m"]
    assert len(found["warmup_ns"]) > 100
    assert sum(found["warmup_ns"]) < 0.31e9


def test_slow_models_have_as_many_rounds_as_fit_and_at_least_what_a_median_needs() -> None:
    round_of_two = [[30_000_000] * 5, [70_000_000] * 5]  # 0.1 s
    assert runner_latency.rounds(round_of_two, 200, 4.0) == 40
    assert runner_latency.rounds(round_of_two, 200, 1.0) == runner_latency.LEAST
    assert runner_latency.rounds(round_of_two, 20, 1.0) == 20
    assert runner_latency.rounds(round_of_two, 200, float("inf")) == 200


def test_a_slow_model_ends_its_warm_up_and_its_rounds_early(start: Start, zoo: Path) -> None:
    options = {"iterations": 10**6, "warmup_iterations": 10**6, "warmup_seconds": 0.05, "longest": 0.1}
    found = start("latency", {"m": zoo / "mlp.onnx"}, [X], **options).result["models"]["m"]
    for taken in (found["warmup_ns"], found["values_ns"]):
        assert runner_latency.LEAST <= len(taken) < 10**6
    assert sum(found["warmup_ns"]) < 0.11e9


@dataclass(slots=True)
class Fake:
    """A model that only notes that it ran."""

    number: int
    ran: list[Any]
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    def fit(self, shapes: Any) -> None: ...

    def run(self, feed: Any) -> list[Any]:
        self.ran.append(self.number)
        return []


def test_regions_hold_the_inferences_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two warm-ups before the begin mark, of which one is watched; marks in pairs, numbered by model."""
    ran: list[Any] = []
    monkeypatch.setattr(runner_count, "marker", lambda: lambda kind, region: ran.append((kind, region)))
    models = [runner_models.Loaded(name, Fake(k, ran), 1, 0) for k, name in enumerate("ab")]
    runner_count.count(runner_models.Work({"count_inferences": 3}, "", [X], models))
    begin, end = runner_count.BEGIN, runner_count.END
    watch = (runner_count.WATCH, 0)  # an emulator need not look at what was before
    first, second = ([k, watch, k, (begin, k), k, k, k, (end, k)] for k in (0, 1))
    assert ran == [*first, *second]


def test_a_loaded_model_is_counted_several_times(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(runner_count, "marker", lambda: lambda kind, region: ran.append((kind, region)))
    models = [runner_models.Loaded(name, Fake(k, ran), 1, 0) for k, name in enumerate("ab")]
    results = runner_count.count(runner_models.Work({"count_repeats": 2}, "", [X], models))
    begin, end = runner_count.BEGIN, runner_count.END
    assert ran[:9] == [0, (runner_count.WATCH, 0), 0, (begin, 0), 0, (end, 0), (begin, 1), 0, (end, 1)]
    assert (results["b"]["region"], results["b"]["regions"]) == (2, 2)


def test_outputs_stop_when_the_time_is_used_up_and_tell_how_many_there_are(start: Start, zoo: Path) -> None:
    ended = start("outputs", {"m": zoo / "mlp.onnx"}, [X], seconds=0.0)
    assert ended.result["models"]["m"]["examples"] == 1
    assert len(ended.outputs("m")[0]) == 1
    assert ended.result["cpu_s"] > ended.result["models"]["m"]["cpu_s"] >= 0


def test_every_round_runs_each_model_once_in_varying_order() -> None:
    ran: list[Any] = []
    models = [runner_models.Loaded(str(k), Fake(k, ran), 1, 0) for k in range(3)]
    taken: list[list[int]] = [[], [], []]
    order = random.Random(0)
    for _ in range(60):
        runner_latency.one_round(order, models, [[[]], [[]], [[]]], taken)
    rounds = [tuple(ran[k : k + 3]) for k in range(0, 180, 3)]
    assert all(sorted(r) == [0, 1, 2] for r in rounds)
    assert len(set(rounds)) == 6


def test_count_marks_a_region_a_model(start: Start, zoo: Path, lite: Path) -> None:
    models = {"a": zoo / "mlp.onnx", "b": lite / "mlp.tflite"}
    ended = start("count", models, [X], count_inferences=3)
    assert ended.code == 0
    first = ended.result["models"]["a"]
    assert (first["region"], first["inferences"], first["batch"]) == (0, 3, 1)
    assert ended.result["models"]["b"]["region"] == 1


# ---- layers


def node(name: str, duration: float, index: int, op: str = "Conv", **more: Any) -> dict[str, Any]:
    """An event of ONNX Runtime's profile, as version 1.31 writes it."""
    details = {"op_name": op, "node_index": str(index), "output_type_shape": [{"float": [1, 8]}], **more}
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": duration, "args": details}


def inference(duration: float, *nodes: dict[str, Any]) -> list[dict[str, Any]]:
    """Its operators, then itself."""
    return [*nodes, {"cat": "Session", "name": "SequentialExecutor::Execute", "dur": duration, "args": {}},
            {"cat": "Session", "name": "model_run", "dur": duration, "args": {}}]  # fmt: skip


def test_an_operators_time_is_its_median_over_inferences_without_the_warm_ups() -> None:
    timed = [inference(100, node("a", took, 0), node("z", other, 1)) for took, other in ((30, 9), (10, 10), (80, 70))]
    runs = [inference(10_000, node("a", 9000, 0), node("z", 900, 1)), *timed]
    events = [
        {"cat": "Session", "name": "session_initialization", "dur": 7, "args": {}},
        *(event for run in runs for event in run),
    ]
    found, other = runner_layers.by_operator(runner_ort.inferences(events), warmups=1)
    assert found == {"name": "a", "op": "Conv", "output": [1, 8], "median_us": 30, "share": 0.75}
    assert (other["median_us"], other["share"]) == (10, 0.25)


def test_what_runs_several_times_an_inference_is_added_up_and_namesakes_are_kept_apart() -> None:
    once = inference(100, node("b", 5, 3), node("b", 20, 4, op="Relu"), node("b", 6, 3), node("c", 1, 5))
    found = runner_layers.by_operator(runner_ort.inferences([*once, *once]), warmups=0)
    assert [(each["name"], each["op"], each["median_us"]) for each in found] == [
        ("b", "Conv", 11), ("b", "Relu", 20), ("c", "Conv", 1),
    ]  # fmt: skip


def test_onnx_tells_the_time_of_its_operators_and_leaves_no_trace(start: Start, zoo: Path) -> None:
    model = zoo / "wide.onnx"
    ended = start("layers", {"m": model}, [X], layer_inferences=5, layer_warmups=1)
    found = ended.result["models"]["m"]
    assert found["reason"] is None
    assert [each["op"] for each in found["layers"]] == ["MatMul", "Relu", "MatMul"]
    assert [each["output"] for each in found["layers"]] == [[1, 200_000], [1, 200_000], [1, 3]]
    assert all(each["median_us"] > 0 for each in found["layers"])
    assert sum(each["share"] for each in found["layers"]) == pytest.approx(1)
    assert {path.name for path in ended.folder.iterdir()} == {"inputs.npz", "job.json", "result.json"}
    assert [path.name for path in zoo.iterdir() if path.suffix == ".json"] == []


def test_tflite_tells_the_time_of_operators_by_the_runtimes_own_profile(start: Start, lite: Path) -> None:
    job = {"layer_inferences": 5, "layer_warmups": 1}
    found = start("layers", {"m": lite / "mlp.tflite"}, [said(lite)["x"][:2]], **job).result["models"]["m"]
    assert found["reason"] is None
    products = [each for each in found["layers"] if each["op"].startswith("Fully Connected")]
    assert [each["output"][-1] for each in products] == [8, 3]
    assert all(each["name"] for each in products)


def event(tag: str, kind: int, index: int = 0) -> runner_litert.Event:
    """An event of LiteRT's profile."""
    return runner_litert.Event(tag, kind, 0, 1, index)


BEGIN, GRAPH, AFTER = event("LiteRT::Run[buffer registration]", 1), event("Invoke", 1), event("LiteRT::Run[sync]", 1)
NODES = [runner_litert.Node("CONV_2D", "c", [1, 4]), runner_litert.Node("MEAN", "m", [1, 2]),
         runner_litert.Node("RESHAPE", "r", [2]), runner_litert.Node("FULLY_CONNECTED", "f", [1, 3])]  # fmt: skip


def test_a_profile_of_litert_says_at_which_readings_of_the_clock_operators_begin() -> None:
    inside = [event("Convolution (F32)", 8, 0), event("Clamp", 8, 1)]
    rest = [event("MEAN", 2, 1), event("Fully Connected (F32)", 8, 0), event("Invoke", 32, -1), AFTER]
    (found,) = runner_litert.inferences([BEGIN, GRAPH, *inside, *rest], NODES)
    assert [(each.name, each.op, each.reading) for each in found.operators] == [
        ("c", "Convolution (F32)", 4), ("", "Clamp", 5), ("m", "MEAN", 7), ("f", "Fully Connected (F32)", 9),
    ]  # fmt: skip
    assert found.readings == (13, 13)


def test_names_are_left_out_where_a_delegate_has_another_number_of_weighty_operators() -> None:
    (found,) = runner_litert.inferences([BEGIN, GRAPH, event("Convolution (F32)", 8, 0), AFTER], NODES)
    assert [each.name for each in found.operators] == [""]


def test_operators_that_run_graphs_of_their_own_have_no_readings() -> None:
    (found,) = runner_litert.inferences([BEGIN, GRAPH, GRAPH, event("MEAN", 2, 1), AFTER], NODES)
    assert found.readings is None


@pytest.mark.parametrize("size", [72, 104, 120])
def test_events_of_litert_are_read_however_large_they_are_and_refused_where_they_are_none(size: int) -> None:
    def packed(number: int) -> bytes:
        return runner_litert.HEAD.pack(5000 + number, 8, 0, 7, 30 + number).ljust(size - 24, b"\0")

    unwritten = b"\xa5" * 4  # the compiler's padding
    made = b"".join(packed(k) + k.to_bytes(8, "little") + bytes(12) + unwritten for k in range(3))
    space = made.ljust(3 * runner_litert.LARGEST, b"\xa5")
    assert runner_litert.laid_out(space, 3) == [(5000 + k, 8, 7, 30 + k, k) for k in range(3)]
    with pytest.raises(runner_litert.Unprofiled, match="another way"):
        runner_litert.laid_out(space, 2)


def test_nothing_is_profiled_while_time_is_taken(start: Start, zoo: Path) -> None:
    job = {"warmup_seconds": 0.0, "warmup_iterations": 1, "iterations": 2}
    ended = start("latency", {"m": zoo / "mlp.onnx"}, [X], **job)
    assert {path.name for path in ended.folder.iterdir()} == {"inputs.npz", "job.json", "result.json"}
    assert [path.name for path in zoo.iterdir() if path.suffix == ".json"] == []


def test_the_marker_is_the_raw_system_call() -> None:
    import ctypes
    import errno

    assert runner_count.marker()(runner_count.BEGIN, 0) == -1
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(ctypes.c_long(runner_count.MARK_SYSCALL), ctypes.c_long(1), ctypes.c_long(0))
    assert ctypes.get_errno() == errno.ENOSYS


# ---- errors


@pytest.mark.parametrize(
    ("file", "inputs", "options", "kind"),
    [
        ("absent.onnx", [X], {}, "bad-model"),
        ("mlp.txt", [X], {}, "bad-model"),
        ("broken.onnx", [X], {}, "bad-model"),
        ("broken.tflite", [X], {}, "bad-model"),
        ("mlp.onnx", [X, X], {}, "bad-input"),
        ("mlp.onnx", [X[:, :3]], {}, "bad-input"),
        ("mlp.onnx", [X[:, :, None]], {}, "bad-input"),
        ("mlp.onnx", [X[:0]], {}, "bad-input"),
        ("minus.onnx", [X, X[:3]], {}, "bad-input"),
        ("mlp.onnx", [], {}, "bad-input"),
        ("mlp.onnx", [X], {"m": {"providers": ["CUDAExecutionProvider"]}}, "provider-missing"),
        ("mlp.onnx", [X], {"iterations": 0}, "bad-job"),
    ],
)
def test_errors_have_a_kind_and_one_line(
    start: Start, zoo: Path, file: str, inputs: Any, options: Any, kind: str
) -> None:
    (zoo / "broken.onnx").write_bytes(b"no model")
    (zoo / "broken.tflite").write_bytes(b"no model either")
    (zoo / "mlp.txt").write_text("")
    ended = start("latency", {"m": zoo / file}, inputs, **options)
    assert ended.code == 3
    assert ended.result["error"]["kind"] == kind
    assert kind in runner.ERRORS
    assert "\n" not in ended.result["error"]["message"]
    assert ended.result["error"]["message"]


def test_unknown_mode(start: Start, zoo: Path) -> None:
    assert start("guess", {"m": zoo / "mlp.onnx"}, [X]).result["error"]["kind"] == "bad-job"


def test_nothing_to_run(start: Start) -> None:
    assert start("outputs", {}, [X]).result["error"]["kind"] == "bad-job"


def test_a_models_name_cannot_leave_the_folder(start: Start, zoo: Path) -> None:
    assert start("outputs", {"../m": zoo / "mlp.onnx"}, [X]).result["error"]["kind"] == "bad-job"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"mode": "outputs", "inputs": "i", "models": [{}]}',
        '{"mode": "outputs", "inputs": "i", "models": [{"name": 1, "file": "m"}]}',
    ],
)
def test_broken_job_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "job.json").write_text(content)
    assert runner.main([str(tmp_path)]) == 3
    assert json.loads((tmp_path / "result.json").read_text())["error"]["kind"] == "bad-job"


def test_inputs_that_are_no_archive(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", X)
    np.savez(tmp_path / "whole.npz", **{"0": X})  # type: ignore[arg-type]
    cut, array = (tmp_path / "whole.npz").read_bytes()[:-30], (tmp_path / "array.npy").read_bytes()
    for name, content in (("text.npz", b"text"), ("array.npz", array), ("cut.npz", cut), ("void.npz", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(model_values.RunnerError) as caught:
            runner_models.read_inputs(str(tmp_path / name))
        assert caught.value.kind == "bad-input"


@pytest.mark.parametrize("missing", ["numpy", "onnxruntime", "ai_edge_litert.interpreter"])
def test_missing_runtime(tmp_path: Path, zoo: Path, lite: Path, missing: str) -> None:
    model = lite / "mlp.tflite" if "litert" in missing else zoo / "mlp.onnx"
    np.savez(tmp_path / "inputs.npz", **{"0": X})  # type: ignore[arg-type]
    job = {"mode": "outputs", "models": [{"name": "m", "file": str(model)}], "inputs": "inputs.npz"}
    (tmp_path / "job.json").write_text(json.dumps(job))
    code = (
        f"import sys, runpy; sys.modules[{missing!r}] = None; "
        f"sys.argv = ['runner.py', {str(tmp_path)!r}]; "
        f"runpy.run_path({runner.__file__!r}, run_name='__main__')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 3
    error = json.loads((tmp_path / "result.json").read_text())["error"]
    assert error["kind"] == "runtime-missing"
    assert missing in error["message"]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("std::bad_alloc"), OSError("Cannot allocate memory")])
def test_out_of_memory_is_recognised(error: Exception) -> None:
    with pytest.raises(model_values.RunnerError) as caught, runner_models.reported("bad-model", "m"):
        raise error
    assert caught.value.kind == "out-of-memory"


def test_wrong_usage() -> None:
    assert runner.main([]) == 2
    assert runner.main(["/nowhere"]) == 2


# ---- providers


def test_a_model_that_the_cpu_would_compute_for_another_provider_is_refused(start: Start, zoo: Path) -> None:
    """This build's Azure provider computes no operator: ONNX Runtime gives all of them to the CPU."""
    ended = start("outputs", {"m": zoo / "mlp.onnx"}, [X], m={"providers": ["AzureExecutionProvider"]})
    assert ended.code == 3
    assert ended.result["error"]["kind"] == "provider-missing"
    told = "with CPUExecutionProvider as the last provider the CPU may compute the rest"
    assert told in ended.result["error"]["message"]


def test_what_the_cpu_may_compute_beside_another_provider_is_told(start: Start, zoo: Path) -> None:
    both = ["AzureExecutionProvider", "CPUExecutionProvider"]
    ended = start("outputs", {"m": zoo / "mlp.onnx"}, [X], m={"providers": both})
    told = ended.result["models"]["m"]["told"]
    assert re.fullmatch(r"(\d+) of \1 operators run on CPUExecutionProvider, not on AzureExecutionProvider", told)
    alone = start("outputs", {"m": zoo / "mlp.onnx"}, [X], m={"providers": ["CPUExecutionProvider"]})
    assert alone.result["models"]["m"]["told"] is None


@pytest.mark.parametrize(
    ("providers", "fallback", "entry"),
    [
        (["CUDAExecutionProvider"], False, "1"),
        (["TensorrtExecutionProvider", "CUDAExecutionProvider"], False, "1"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], False, "0"),
        (["CUDAExecutionProvider"], True, "0"),
        (["CPUExecutionProvider"], False, None),
    ],
)
def test_a_gpu_alone_forbids_the_fall_back_to_the_cpu(providers: list[str], fallback: bool, entry: str | None) -> None:
    import onnxruntime

    options = load_onnx.session_options(onnxruntime, {}, providers, fallback, "")
    if entry is None:
        with pytest.raises(RuntimeError, match="does not have configuration"):
            options.get_session_config_entry("session.disable_cpu_ep_fallback")
        return
    assert options.get_session_config_entry("session.disable_cpu_ep_fallback") == entry


# ---- layouts


def test_a_file_with_channels_last_takes_and_answers_arrays_as_in_pytorch(start: Start, zoo: Path) -> None:
    x = np.random.default_rng(3).normal(size=(6, 3, 5, 4)).astype(np.float32)
    layouts = {"layouts": {"inputs": ["nhwc"], "outputs": ["nhwc"]}}
    (y,) = start("outputs", {"m": zoo / "last.onnx"}, [x], m=layouts).outputs("m")
    np.testing.assert_allclose(y, np.einsum("co,nchw->nohw", np.arange(6).reshape(3, 2), x), rtol=1e-5, atol=1e-5)
    swapped = start("outputs", {"m": zoo / "last.onnx"}, [x.transpose(0, 2, 3, 1)], m=layouts)
    assert swapped.result["error"]["message"] == "m: x is (1, 3, 5, 4), not (1, 5, 4, 3)"


# ---- loaders

DOUBLING = """
import numpy as np
import model_values as values

SUFFIXES, PACKAGES = (".double",), ("doubling",)


class Model(values.AnyModel):
    def __init__(self, model, spec):
        self.inputs = self.outputs = [values.Port("x", "x", (1, 4), np.float32)]

    @staticmethod
    def runtime():
        return np

    def run(self, feed):
        return [2 * feed[0]]
"""


def test_a_loader_beside_it_adds_its_files_and_packages(tmp_path: Path) -> None:
    for name in travels.RUNNER:
        shutil.copyfile(travels.file(name), tmp_path / name)
    (tmp_path / "load_double.py").write_text(DOUBLING)
    (tmp_path / "model.double").write_bytes(b"")
    np.savez(tmp_path / "inputs.npz", **{"0": X})  # type: ignore[arg-type]
    job = {"mode": "outputs", "models": [{"name": "m", "file": "model.double"}], "inputs": "inputs.npz"}
    (tmp_path / "job.json").write_text(json.dumps(job))
    command = [sys.executable, str(tmp_path / "runner.py")]
    assert subprocess.run([*command, str(tmp_path)], check=False).returncode == 0
    with np.load(tmp_path / "m.outputs.npz") as answers:
        assert np.array_equal(answers["0"], 2 * X)
    facts = subprocess.run([*command, "--fingerprint"], capture_output=True, check=True).stdout
    assert json.loads(facts)["packages"].keys() == {*runner_loaders.PACKAGES, "doubling"}


def test_every_format_has_a_loader_that_opens_its_files_and_names_its_runtime() -> None:
    for name in FORMATS.names():
        kind = FORMATS.get(name)
        assert model_file.loader(kind).name in travels.LOADERS
        assert Path(kind.file).suffix in runner_loaders.LOADERS
        assert kind.runtime in runner_loaders.PACKAGES


# ---- independence


TRAVELLERS = sorted(Path(travels.__file__).parent.glob("[!_]*.py"))


@pytest.mark.parametrize("path", TRAVELLERS, ids=lambda path: path.stem)
def test_only_the_standard_library_numpy_and_siblings_are_imported_at_the_top(path: Path) -> None:
    tree = ast.parse(path.read_text())
    inner = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    top = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in inner]
    names = {a.name for n in top if isinstance(n, ast.Import) for a in n.names} | {
        str(n.module or "model_values") for n in top if isinstance(n, ast.ImportFrom)
    }
    siblings = {path.stem for path in TRAVELLERS}
    more = (
        {"numpy"}
        if path.name.startswith(("run.py", "decoder.py", "draw_", "prepare_", "route_", "edge_link.py"))
        else set()
    )
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | siblings | more


@pytest.mark.parametrize("path", TRAVELLERS, ids=lambda path: path.stem)
def test_it_is_python_3_9(path: Path) -> None:
    source = path.read_text()
    ast.parse(source, feature_version=(3, 9))
    assert "import edgebuild" not in source
    assert "from edgebuild" not in source


def test_fingerprint_is_plain_data() -> None:
    found = runner_device.fingerprint()
    assert json.loads(json.dumps(found)) == found
    assert found["cores"] >= 1
    assert found["cpu"]


def test_arm_processors_are_named_by_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    a72 = "processor\t: 0\nCPU implementer\t: 0x41\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n"
    monkeypatch.setattr(runner_device, "read", lambda path: a72 if path == "/proc/cpuinfo" else None)
    assert runner_device.cpu_model() == "part 0xd08 implementer 0x41 variant 0x0 revision 3"
