"""Every operator that the lift knows answers as ONNX Runtime: on onnx's own cases, and on ours for what those lack."""

from __future__ import annotations

import warnings
from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from edgebuild.nn.lift import LiftError, lift
from edgebuild.nn.lift.operators import control, table
from tests.nn.lift.files import Array
from tests.nn.lift.own_nodes import Case, own_cases

# Where the reason must be one of these: what torch has no layer or no kernel for.
REFUSED = {
    "test_col2im_5d": "folds pictures of two dimensions alone",
    "test_dequantizelinear_blocked": "it has blocks",
    "test_quantizelinear_blocked_asymmetric": "it has blocks",
    "test_lstm_with_peepholes": "it has peepholes",
    "test_maxpool_with_argmax_2d_precomputed_strides": "counted by column",
}
REFUSED |= {f"test_batchnorm_{name}_training_mode": "it is of training mode" for name in ("example", "epsilon")}
REFUSED |= {f"test_resize_tf_crop_and_resize{name}": "it crops" for name in ("", "_axes_2_3", "_axes_3_2")}
REFUSED |= {"test_resize_tf_crop_and_resize_extrapolation_value": "it crops"}
# The same of all cases whose names have this word.
REFUSED_WORDS = {
    "qk_matmul": "its scores are a result",
    "nonpad": "it has room for more keys than there are",
    "padded_kv": "it has room for more keys than there are",
}
# Which of equal values comes first is not said by torch.
TIES = {"test_top_k_same_values", "test_top_k_same_values_2d", "test_top_k_same_values_largest"}
KINDS = {"float32", "float64", "int32", "int64", "bool", "uint8", "int8"}
NEWEST = 26  # opset of ONNX Runtime; cases of later ones are those of earlier


@cache
def onnx_cases() -> dict[str, list[Any]]:
    """onnx's own cases of one node and of ordinary tensors, by operator."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_model_tests(kind="node")
    cases = defaultdict(list)
    for case in loaded:
        nodes, (inputs, outputs) = case.model.graph.node, case.data_sets[0]
        plain = all(isinstance(v, np.ndarray) and v.dtype.name in KINDS and v.size for v in (*inputs, *outputs))
        if len(nodes) == 1 and plain and len(inputs) == len(case.model.graph.input) > 0 and case.name not in TIES:
            cases[nodes[0].op_type].append(case)
    return cases


@cache
def ours() -> dict[str, list[Case]]:
    cases = defaultdict(list)
    for case in own_cases():
        cases[case[0]].append(case)
    return cases


def reference(model: bytes, named: dict[str, Array]) -> list[Array] | None:
    """What ONNX Runtime answers; None where it has no kernel."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        answers: list[Array] = session.run(None, named)
    except Exception:  # its errors are of a kind that Python does not know
        return None
    return answers


def compare(name: str, module: torch.nn.Module, given: tuple[Array, ...], wanted: list[Array]) -> None:
    with torch.no_grad():
        answer = module(*(torch.from_numpy(np.array(value)) for value in given))
    answers = (answer,) if isinstance(answer, torch.Tensor) else answer
    assert len(answers) == len(wanted), name
    for ours_, theirs in zip(answers, wanted, strict=True):
        assert (ours_.shape, ours_.numpy(force=True).dtype) == (theirs.shape, theirs.dtype), name
        large = float(np.nan_to_num(np.abs(theirs.astype(np.float64)), posinf=0).max(initial=0))
        near = max(1e-5, 1e-6 * large)  # sums of float32 in another order
        np.testing.assert_allclose(ours_.numpy(force=True), theirs, rtol=1e-3, atol=near, err_msg=name)


def lifted(model: bytes, constants: dict[str, Array]) -> tuple[torch.nn.Module | None, str]:
    """The module, or why there is none."""
    try:
        return lift(model, constants=constants), ""
    except LiftError as error:
        return None, error.line


def check(case: Any, constants: bool) -> bool:
    """Whether a case of onnx's was compared, all inputs but the first being constants or none."""
    model, (inputs, outputs) = case.model, case.data_sets[0]
    model.ir_version = min(model.ir_version, 10)
    model.opset_import[0].version = min(model.opset_import[0].version, NEWEST)
    for value, array in zip(model.graph.input, inputs, strict=True):
        value.type.tensor_type.shape.ClearField("dim")
        for size in array.shape:
            value.type.tensor_type.shape.dim.add(dim_value=size)
    named = {value.name: array for value, array in zip(model.graph.input, inputs, strict=True)}
    held = dict([*named.items()][1:]) if constants else {}
    answers = reference(model.SerializeToString(), named)
    module, why_not = lifted(model.SerializeToString(), held)
    if module is None:
        usual = "ONNX Runtime refuses" if answers is None else "-"
        word = next((reason for word, reason in REFUSED_WORDS.items() if word in case.name), usual)
        expected = REFUSED.get(case.name, word)
        computed = not constants and ("is computed" in why_not or "are computed" in why_not)
        assert computed or "ZeroDivision" in why_not or expected in why_not, (case.name, why_not)
        return False
    given = tuple(value for name, value in named.items() if name not in held)
    compare(case.name, module, given, outputs if answers is None else answers)
    return True


KNOWN = sorted(set(table()) - set(control.OPERATORS) - {"Constant"})  # a constant is never left after folding


@pytest.mark.parametrize("operator", KNOWN)
def test_an_operator_answers_as_in_onnx_runtime(operator: str) -> None:
    compared = [check(case, constants) for case in onnx_cases()[operator] for constants in (True, False)]
    for _, model, given in ours()[operator]:
        wanted = reference(model, {f"x{k}": value for k, value in zip(_open(model), given, strict=True)})
        assert wanted is not None, operator
        compare(f"{operator}, ours", lift(model), given, wanted)
        compared.append(True)
    assert any(compared)


def test_there_are_a_hundred_operators_and_more() -> None:
    assert len(KNOWN) > 140


def _open(model: bytes) -> list[int]:
    import onnx

    return [int(value.name[1:]) for value in onnx.load_from_string(model).graph.input]
