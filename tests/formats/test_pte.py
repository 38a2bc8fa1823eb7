"""ExecuTorch files: what is read out of them, what they answer, and what they refuse; with the extra `pte` alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.formats.pte import Pte
from edgebuild.nn.quantize import ranges
from edgebuild.steps.convert import Convert
from edgebuild.steps.evidence._packing import planned
from edgebuild.travels import load_pte, model_values
from tests import runtimes, tiny
from tests.formats import nets
from tests.zoo import Ended, start

__all__ = ["start"]

pytestmark = runtimes.installed("pte")
kinds = pytest.mark.parametrize("net", nets.NETS)


def multiplied(net: str) -> int:
    """Multiply-accumulates of one inference, as torch counts them."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), counter:
        nets.net(net)(*map(torch.from_numpy, nets.samples(net, 1)[0]))
    return int(counter.get_total_flops()) // 2


@kinds
def test_it_answers_as_the_net_does_and_another_export_makes_the_same_bytes(net: str) -> None:
    import torch

    given, file = nets.samples(net, 8, seed=2), nets.file(net, "pte")
    assert nets.distance(nets.torch_answers(net, given), nets.answers("pte", file, given)) < 1e-5
    assert Pte().convert(nets.net(net), (torch.from_numpy(given[0][0]),)) == file


@kinds
def test_its_operators_do_as_many_products_as_the_net(net: str) -> None:
    work = Pte().work(nets.file(net, "pte"))
    assert len(work) == len(Pte().operators(nets.file(net, "pte")))
    assert sum(one.macs for one in work) == multiplied(net) > 0


@pytest.mark.parametrize("net", ["residual", "depthwise", "recurrent"])
def test_its_constants_are_the_nets_weights(net: str) -> None:
    """In the order and the layout of the kernels, each once; an embedding's table stands beside other constants."""
    file = nets.file(net, "pte")
    stored = [np.frombuffer(file, "<f4", one.count, one.start) for one in Pte().constants(file) if one.width == 4]
    weights = [values.detach().numpy().ravel() for values in nets.net(net).parameters()]
    assert np.array_equal(np.sort(np.concatenate(stored)), np.sort(np.concatenate(weights)))


def test_its_activations_are_those_of_the_kernels_and_of_the_delegates() -> None:
    """A picture, itself transposed, three maps of 8 × 12 × 12 and the last transposed, their mean, the answer."""
    found = Pte().lifetimes(nets.file("residual", "pte"))
    picture, inner = 4 * 3 * 12 * 12, 4 * 8 * 12 * 12
    assert sorted(tensor.bytes for tensor in found) == sorted([16, 32, picture, picture, *[inner] * 4])
    assert planned(found) == picture + 3 * inner  # what is given stays, and a sum needs both its parts


def test_operators_outside_of_a_delegate_take_and_make_tensors_too() -> None:
    lengths = [len(Pte().operators(nets.file(net, "pte"))) for net in ("residual", "transformer")]
    assert lengths[0] < 10 < lengths[1]
    assert {"aten::embedding.out", "XNNFullyConnected"} <= {*Pte().operators(nets.file("transformer", "pte"))}
    for net in nets.NETS:
        *before, last = Pte().work(nets.file(net, "pte"))
        assert last.signature.endswith("-> float32[1, 4]")
        assert all(one.signature.rpartition("-> ")[2] for one in before)  # each makes something


def test_several_inputs_and_outputs_keep_their_places_shapes_and_types() -> None:
    import torch
    from torch import nn

    class Several(nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return x @ y, (x.sum(1) > 0).long(), y.relu() - x.mean()

    given = (torch.randn(1, 6), torch.randn(6, 3))
    model = Pte().convert(Several(), given)
    loaded = load_pte.Model(model, {})
    assert [port.name for port in loaded.inputs] == ["input_0", "input_1"]
    assert [port.shape for port in loaded.outputs] == [(1, 3), (1,), (6, 3)]
    (answers,) = Pte().run(model, [tuple(value.numpy() for value in given)])
    for answer, wanted in zip(answers, Several()(*given), strict=True):
        assert (answer.dtype, answer.shape) == (wanted.numpy().dtype, wanted.numpy().shape)
        np.testing.assert_allclose(answer, wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_the_runner_runs_it_beside_other_formats_times_it_and_tells_no_layers(
    start: Callable[..., Ended], made: tiny.Made
) -> None:
    x = np.random.default_rng(0).normal(size=(5, 1, 12, 12)).astype(np.float32)
    files = {"a": made.file("pte"), "b": made.file("onnx")}
    answers = start("outputs", files, [x])
    np.testing.assert_allclose(answers.outputs("a")[0], answers.outputs("b")[0], rtol=1e-3, atol=1e-4)
    timed = start("latency", files, [x], iterations=20, warmup_iterations=2, warmup_seconds=0.0)
    assert all(found["median_ns"] > 0 for found in timed.result["models"].values())
    assert timed.result["runtimes"]["executorch"]
    layers = start("layers", {"a": made.file("pte")}, [x]).result["models"]["a"]
    assert layers == layers | {"layers": None, "reason": "ExecuTorch tells no time of the operators inside a delegate"}


@pytest.mark.parametrize("threads", [1, 2])
def test_its_threads_are_those_of_the_job_and_one_process_has_one_number(
    start: Callable[..., Ended], made: tiny.Made, threads: int
) -> None:
    x = np.zeros((2, 1, 12, 12), np.float32)
    both = {"a": made.file("pte"), "b": made.file("pte")}
    assert start("outputs", both, [x], a={"threads": threads}, b={"threads": threads}).code == 0
    error = start("outputs", both, [x], a={"threads": threads}, b={"threads": 3}).result["error"]
    assert error == {"kind": "bad-job", "message": f"b: ExecuTorch has {threads} threads in this process, not 3"}


def test_a_runtime_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("executorch.extension.pybindings._C", "executorch.extension.pybindings.portable_lib"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(model_values.RunnerError, match="executorch") as caught:
        load_pte.Model.runtime()
    assert caught.value.kind == "runtime-missing"


def test_ranges_that_nothing_will_ask_for_are_not_looked_for(made: tiny.Made, tmp_path: Path) -> None:
    model = shutil.copytree(made["float"], tmp_path / "model")
    (model / ranges.FILE).write_text('{"x": [-1.0, 1.0]}')
    output = tiny.perform(Convert("pte"), tmp_path / "output", {"model": ("torch", model)})
    assert [path.name for path in output.iterdir()] == ["model.pte"]
