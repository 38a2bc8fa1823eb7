"""What a measured file is fed: open dimensions are asked for and never made up, and what was fed is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgebuild import cli
from tests import ROOT


def model(path: Path, *inputs: tuple[str, int, list[int | str | None]]) -> str:
    """An .onnx file that hands its inputs on."""
    ports = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
    outs = [helper.make_tensor_value_info(f"{name}-out", kind, shape) for name, kind, shape in inputs]
    nodes = [helper.make_node("Identity", [name], [f"{name}-out"]) for name, _, _ in inputs]
    graph = helper.make_graph(nodes, "feeds", ports, outs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


@pytest.fixture
def text(tmp_path: Path) -> str:
    """A classifier of lines of text: pictures of any height and width."""
    return model(tmp_path / "text.onnx", ("image", TensorProto.FLOAT, ["batch", 3, "height", None]))


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs the command on this machine; what it fed, or the one line that it refused in."""

    def run(file: str, *arguments: str, code: int = 0) -> Any:
        assert cli.main(["bench", file, "-C", str(ROOT), "-t", "host", *arguments, "--json"]) == code
        said = capsys.readouterr()
        if code == 0:
            return json.loads(said.out)["fed"]
        assert said.err.count("\n") == 1
        return said.err

    return run


def test_open_dimensions_but_the_batch_are_refused_by_name(text: str, bench: Callable[..., Any]) -> None:
    told = bench(text, code=2)
    assert "leaves dimensions open: input 'image' axis 2 (height), axis 3" in told
    assert "--shape image=1,3,N,N" in told


def test_a_shape_that_is_named_is_fed_and_told(text: str, bench: Callable[..., Any]) -> None:
    assert bench(text, "--shape", "image=2,3,48,192") == [
        {"name": "image", "shape": [2, 3, 48, 192], "dtype": "float32", "source": "random"}
    ]


def test_an_open_batch_is_one_and_told(tmp_path: Path, bench: Callable[..., Any]) -> None:
    file = model(tmp_path / "x.onnx", ("x", TensorProto.FLOAT, ["n", 4]), ("y", TensorProto.INT64, ["n"]))
    fed = bench(file)
    assert [(each["name"], each["shape"], each["dtype"]) for each in fed] == [
        ("x", [1, 4], "float32"),
        ("y", [1], "int64"),
    ]


@pytest.mark.parametrize(
    "kind", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8]
)
def test_a_scalar_input_works(tmp_path: Path, bench: Callable[..., Any], kind: int) -> None:
    file = model(tmp_path / "x.onnx", ("x", kind, [8, 4]), ("scalar", kind, []))
    assert [each["shape"] for each in bench(file)] == [[8, 4], []]
    assert [each["shape"] for each in bench(file, "--shape", "scalar=")] == [[8, 4], []]


def test_inputs_of_a_file_are_fed_by_name_or_position(tmp_path: Path, bench: Callable[..., Any]) -> None:
    file = model(tmp_path / "x.onnx", ("a", TensorProto.FLOAT, ["n", "m"]), ("b", TensorProto.INT64, []))
    arrays = {"a": np.zeros((3, 5), np.float32), "b": np.array(7)}
    expected = [[3, 5], []]
    for name, held in (("names", arrays), ("places", {"0": arrays["a"], "1": arrays["b"]})):
        path = tmp_path / f"{name}.npz"
        np.savez(path, **held)  # type: ignore[arg-type]
        fed = bench(file, "--inputs", str(path))
        assert [each["shape"] for each in fed] == expected
        assert {each["source"] for each in fed} == {str(path)}


def test_what_is_fed_is_what_the_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not another one of the same shape: here, an index that the model's table has, and one that it has not."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [3, 1], [0.0, 1.0, 2.0])
    ports = [helper.make_tensor_value_info("i", TensorProto.INT64, [])]
    outs = [helper.make_tensor_value_info("o", TensorProto.FLOAT, [1])]
    graph = helper.make_graph([helper.make_node("Gather", ["table", "i"], ["o"])], "pick", ports, outs, [table])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "pick.onnx"
    )
    for index, code in ((2, 0), (3, 4)):
        np.savez(tmp_path / "i.npz", i=np.array(index))
        arguments = ["bench", str(tmp_path / "pick.onnx"), "-C", str(ROOT), "-t", "host"]
        assert cli.main([*arguments, "--inputs", str(tmp_path / "i.npz")]) == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shape", "picture=1,3,48,192"], ["--shape: has no input 'picture'", "image"]),
        (["--shape", "image=1,3,48"], ["input 'image' is [open, 3, open, open], not [1, 3, 48]"]),
        (["--shape", "image=1,4,48,192"], ["input 'image' is [open, 3, open, open], not [1, 4, 48, 192]"]),
        (["--shape", "image=1,3,0,192"], ["above zero"]),
        (["--shape", "image=1,3,-1,192"], ["above zero"]),
        (["--shape", "image=1,3,x,192"], ["NAME=SIZE"]),
        (["--shape", "image"], ["NAME=SIZE"]),
        (["--shape", "image=1,3,2,2", "--shape", "image=1,3,2,2"], ["twice"]),
        (["--inputs", "{}/absent.npz"], ["--inputs", "No such file"]),
        (["--inputs", "{}"], ["--inputs"]),
        (["--inputs", "{}/text.onnx"], ["is no .npz of named arrays"]),
        (["--inputs", "{}/one.npy"], ["is no .npz of named arrays"]),
        (["--inputs", "{}/objects.npz"], ["is no .npz of named arrays"]),
        (["--inputs", "{}/half.npz"], ["is no .npz of named arrays"]),
        (["--inputs", "{}/other.npz"], ["has no input 'picture'"]),
        (["--inputs", "{}/none.npz"], ["has no array 'image'"]),
        (["--inputs", "{}/double.npz"], ["input 'image' is float32, not float64"]),
        (["--inputs", "{}/flat.npz"], ["input 'image' is [open, 3, open, open], not [5]"]),
        (["--inputs", "{}/good.npz", "--shape", "image=1,3,2,2"], ["goes without --inputs"]),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, text: str, bench: Callable[..., Any], arguments: list[str], words: list[str]
) -> None:
    good = np.zeros((1, 3, 2, 2), np.float32)
    np.savez(tmp_path / "good.npz", image=good)
    np.savez(tmp_path / "other.npz", picture=good)
    np.savez(tmp_path / "none.npz")
    np.savez(tmp_path / "double.npz", image=good.astype(np.float64))
    np.savez(tmp_path / "flat.npz", image=np.zeros(5, np.float32))
    np.savez(tmp_path / "objects.npz", image=np.array([{}], object))
    np.save(tmp_path / "one.npy", good)
    (tmp_path / "half.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:200])
    told = bench(text, *(word.replace("{}", str(tmp_path)) for word in arguments), code=2)
    assert [word for word in words if word not in told] == [], told


def test_a_tflite_file_of_open_batch_and_quantized_input(lite: Path, bench: Callable[..., Any], tmp_path: Path) -> None:
    assert [each["shape"] for each in bench(str(lite / "open.tflite"))] == [[1, 4]]
    (fed,) = bench(str(lite / "open.tflite"), "--shape", "args_0=5,4")
    assert fed["shape"] == [5, 4]
    np.savez(tmp_path / "x.npz", args_0=np.zeros((7, 4), np.float32))
    (fed,) = bench(str(lite / "open.tflite"), "--inputs", str(tmp_path / "x.npz"))
    assert fed["shape"] == [7, 4]
