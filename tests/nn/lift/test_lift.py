"""Networks as exporters write them become modules with layers that train, prune, and answer as the file does."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from edgebuild.nn.lift import LiftError, lift, prove
from edgebuild.nn.prune.channels import inventory
from tests.nn import nets
from tests.nn.hard_nets import NETS, Gain
from tests.nn.lift.files import exported, model, picture
from tests.nn.nets import lively
from tests.nn.prune.test_channels import GO


def example(shape: tuple[int, ...], batch: int = 1) -> Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=NETS)
def lifted(request: pytest.FixtureRequest) -> tuple[str, bytes, nn.Module]:
    """A network's name, its file, and what became of it."""
    torch.manual_seed(0)
    make, shape = NETS[request.param]
    file = exported(lively(make()), example(shape))
    return request.param, file, lift(file)


def test_a_file_of_the_older_exporter_is_answered_alike_by_layers_that_learn(
    lifted: tuple[str, bytes, nn.Module],
) -> None:
    name, file, module = lifted
    proof = prove(module, file)
    assert proof.equal, proof
    assert proof.one_at_a_time == ""
    module(example(NETS[name][1], 2)).square().sum().backward()
    assert all(value.grad is not None for value in module.parameters())


def test_what_the_original_can_lose_the_lifted_network_can_lose(lifted: tuple[str, bytes, nn.Module]) -> None:
    name, _, module = lifted
    given = (example(NETS[name][1]),)
    module = copy.deepcopy(module).requires_grad_(True)
    found = inventory(module, given, [], 1)
    assert {unit.name for unit in found.units} == GO[name]
    found.remove(module, [(unit, [*range(0, len(unit.members), 2)]) for unit in found.units])
    assert module(example(NETS[name][1], 3)).shape == (3, 4)


@pytest.mark.parametrize("make", [nets.convolutions, nets.attention])
def test_a_file_of_the_newer_exporter_with_a_fixed_batch_takes_any(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = lively(make())
    shape = (3, 8, 8) if make is nets.convolutions else (6, 16)
    file = exported(network, example(shape), dynamo=True)
    module = lift(file)
    proof = prove(module, file)
    assert (proof.equal, proof.one_at_a_time) == (True, "")
    kinds = {type(part) for part in network.modules()} & {nn.Conv2d, nn.Linear, nn.ConvTranspose2d, nn.LayerNorm}
    assert kinds <= {type(part) for part in module.modules()}


def test_layers_and_parameters_have_the_names_that_they_had() -> None:
    network = lively(Gain())
    module = lift(exported(network, example((3, 8, 8))))
    kept, own = module.state_dict(), network.state_dict()
    assert kept.keys() == own.keys()
    assert all(torch.equal(kept[name].flatten(), own[name].flatten()) for name in own)
    assert type(module.get_submodule("slope")) is nn.PReLU
    assert isinstance(module.gain, nn.Parameter)


def test_a_layer_norm_that_was_spelled_out_is_a_layer_again() -> None:
    network = lively(NETS["squeezed"][0]())
    file = exported(network, example((3, 8, 8)), opset=16)
    assert "LayerNormalization" not in {node.op_type for node in onnx.load_from_string(file).graph.node}
    module = lift(file)
    assert isinstance(module.get_submodule("norm"), nn.LayerNorm)
    assert module.get_submodule("norm").eps == network.norm.eps
    assert prove(module, file).equal


def test_the_same_file_gives_the_same_names_and_the_same_forward_pass() -> None:
    file = exported(lively(NETS["split"][0]()), example((3, 8, 8)))
    one, other = lift(file), lift(file)
    assert [*one.state_dict()] == [*other.state_dict()]
    assert one.source == other.source


def constant(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values), name)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_layers_that_share_a_weight_are_one_layer_and_equal_constants_are_not_shared() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "zeros"], ["a"], "one", pads=[1] * 4),
        helper.make_node("Conv", ["a", "conv.weight", "zeros"], ["b"], "two", pads=[1] * 4),
        helper.make_node("Add", ["b", "ones"], ["c"]),
        helper.make_node("Mul", ["c", "ones"], ["y"]),
    ]
    held = [constant("conv.weight", noise(3, 3, 3, 3)), constant("zeros", np.zeros(3, np.float32))]
    held.append(constant("ones", np.ones((3, 1, 1), np.float32)))
    file = model(nodes, [picture()], ["y"], held)
    module = lift(file)
    assert [name for name, part in module.named_modules() if isinstance(part, nn.Conv2d)] == ["conv"]
    assert {*dict(module.named_parameters())} == {"conv.weight", "conv.bias", "ones", "ones_1"}
    assert prove(module, file).equal


def test_numbers_and_masks_are_not_learnt() -> None:
    mask = np.where(np.eye(8) > 0, -np.inf, 0).astype(np.float32)
    nodes = [
        helper.make_node("Mul", ["x", "half"], ["a"]),
        helper.make_node("Add", ["a", "mask"], ["b"]),
        helper.make_node("Add", ["b", "block.scale"], ["y"]),
    ]
    held = [constant("half", np.float32(0.5)), constant("mask", mask), constant("block.scale", np.float32([3]))]
    module = lift(model(nodes, [picture()], ["y"], held))
    assert {*dict(module.named_parameters())} == {"block.scale"}
    assert {*dict(module.named_buffers())} == {"mask"}


def test_a_constant_for_one_example_is_joined_to_all() -> None:
    nodes = [helper.make_node("Concat", ["token", "x"], ["y"], axis=1)]
    file = model(nodes, [picture("x", 1, 5, 4)], ["y"], [constant("token", noise(1, 1, 4))])
    proof = prove(lift(file), file)
    assert (proof.equal, proof.one_at_a_time) == (True, "")


def test_a_value_under_two_names_is_known_until_both_are_read() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Resize", ["a", "", "scales"], ["same"]),
        helper.make_node("Neg", ["a"], ["b"]),
        helper.make_node("Sub", ["b", "same"], ["y"]),
    ]
    file = model(nodes, [picture("x", 1, 3, 8, 8)], ["y"], [constant("scales", np.ones(4, np.float32))])
    assert prove(lift(file), file).equal


def decided(condition: str) -> bytes:
    """y = x + 1 where the rate is 16000, else x − 1; both branches call their values alike."""

    def branch(kind: str) -> onnx.GraphProto:
        node = helper.make_node(kind, ["x", "inner_one"], ["inner"])
        value = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
        return helper.make_graph([node], kind, [], [value], [constant("inner_one", np.float32(1))])

    nodes = [
        helper.make_node("Equal", [condition, "rate"], ["is_16"]),
        helper.make_node("If", ["is_16"], ["first"], then_branch=branch("Add"), else_branch=branch("Sub")),
        helper.make_node("If", ["is_16"], ["second"], then_branch=branch("Mul"), else_branch=branch("Sub")),
        helper.make_node("Add", ["first", "second"], ["y"]),
    ]
    rate = helper.make_tensor_value_info("sr", TensorProto.INT64, [])
    return model(nodes, [picture(), rate], ["y"], [constant("rate", np.int64(16000))])


def test_a_branch_is_taken_where_its_condition_is_a_constant() -> None:
    file = decided("sr")
    for rate in (16000, 8000):
        module = lift(file, constants={"sr": np.int64(rate)})
        assert prove(module, file, constants={"sr": np.int64(rate)}).equal


def test_a_branch_that_an_input_decides_is_refused_with_the_node() -> None:
    with pytest.raises(LiftError) as error:
        lift(decided("sr"))
    assert error.value.operator == "If"
    assert error.value.node
    assert "constants" in (error.value.hint or "")
    assert error.value.exit_code == 2


def test_open_dimensions_are_given_by_name() -> None:
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2], keepdims=0)]
    file = model(nodes, [picture("x", "N", "bands", "steps")], ["y"], opset=13)
    module = lift(file, {"bands": 4, "x.2": 6})
    assert module(torch.zeros(2, 4, 6)).shape == (2, 4)
    with pytest.raises(LiftError, match="open dimensions: bands, steps"):
        lift(file)
    with pytest.raises(LiftError, match="no open dimension 'band'.*bands"):
        lift(file, {"bands": 4, "steps": 6, "band": 1})


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "no ONNX file, or one without outputs"),
        (b"no such thing", "no ONNX file"),
        (model([helper.make_node("Mystery", ["x"], ["y"], domain="a.b")], [picture()], ["y"]), "ONNX Runtime refuses"),
        (model([helper.make_node("NonZero", ["x"], ["y"], "where")], [picture()], ["y"]), "NonZero 'where'"),
    ],
)
def test_what_cannot_be_lifted_is_refused_in_one_line(file: bytes, reason: str) -> None:
    with pytest.raises(LiftError) as error:
        lift(file)
    assert reason in error.value.line
    assert "\n" not in error.value.line


def test_an_error_that_is_caught_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    module = lift(exported(lively(Gain()), example((3, 8, 8))))
    with pytest.raises(RuntimeError), warnings.catch_warnings():
        module(torch.zeros(1, 5, 8, 8))
    assert capfd.readouterr() == ("", "")


def test_a_copy_is_a_network_of_its_own() -> None:
    module = lift(exported(lively(Gain()), example((3, 8, 8))))
    other, x = copy.deepcopy(module), example((3, 8, 8))
    other.gain.data.zero_()
    assert not torch.equal(module(x), other(x))


def test_an_output_that_is_a_constant_is_not_learnt() -> None:
    """It was a parameter, and who asked for numbers of the answer was refused by torch."""
    held = numpy_helper.from_array(np.float32([1, 2]), "c")
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    _, constant = lift(model(nodes, [picture()], ["y", "c"], [held]))(example((3, 8, 8)))
    assert constant.numpy().tolist() == [1, 2]


@pytest.mark.parametrize("own", ["x", "step"])
def test_a_loop_whose_inputs_are_known_reads_what_is_outside_of_it(own: str) -> None:
    """As tf2onnx writes a masked LSTM: only the body reads the input, and the loop was computed without it."""
    ends = [helper.make_tensor_value_info(name, 1, [1, 2]) for name in ("x", "y")]
    state = [helper.make_tensor_value_info(name, 1, [1, 2]) for name in ("before", "after")]
    flags = [helper.make_tensor_value_info(name, kind, []) for name, kind in (("i", 7), ("go", 9), ("on", 9))]
    nodes = [helper.make_node("Add", ["before", own], ["after"]), helper.make_node("Identity", ["go"], ["on"])]
    body = helper.make_graph(nodes, "body", [*flags[:2], state[0]], [flags[2], state[1]])
    loop = helper.make_node("Loop", ["count", "", "start"], ["sum"], "again", body=body)
    held = [numpy_helper.from_array(np.array(3), "count")]
    held += [numpy_helper.from_array(np.ones((1, 2), np.float32), name) for name in ("start", "step")]
    graph = helper.make_graph([loop, helper.make_node("Add", ["sum", "x"], ["y"])], "g", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    if own == "x":
        with pytest.raises(LiftError, match="again and again"):
            lift(model)
    else:
        assert lift(model)(torch.zeros(1, 2)).tolist() == [[4, 4]]
