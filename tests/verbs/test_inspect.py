"""What a file is, told without a project; what is damaged or a program is named in one line, and nothing is run."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from edgebuild.spec.errors import UsageError
from edgebuild.spec.look import Port
from edgebuild.verbs import inspect
from tests import tiny
from tests.verbs import branching


def refused(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        inspect.run(path)
    assert "\n" not in caught.value.line
    return caught.value.line.replace(str(path), path.name)


def test_an_onnx_file_tells_its_ports_operators_and_parameters(zoo: Path, made: tiny.Made) -> None:
    found = inspect.run(zoo / "mlp.onnx")
    assert found.source == "onnx"
    assert found.look.inputs == (Port("x", ("batch", 4), "float32"),)
    assert found.look.outputs == (Port("y", ("batch", 3), "float32"),)
    assert found.look.operators == {"MatMul": 2, "Relu": 1}
    assert found.look.parameters == 4 * 16 + 16 * 3
    assert found.look.bytes == (zoo / "mlp.onnx").stat().st_size
    assert {"int8", "float16", "encode"} <= {*found.techniques}
    assert found.refused["distill"] == "works on torch"
    assert 'use = "lifted"' in found.instead
    assert found.formats == ("onnx",)
    integers = inspect.run(made.file("onnx-int8"))
    assert integers.look.integer
    assert "encode" in integers.techniques
    assert "needs its float file" in integers.instead
    assert "takes int8" not in integers.instead
    assert integers.refused["int8"].startswith("the file computes in integers already")


def test_operators_within_branches_are_counted_as_their_weights_are(tmp_path: Path) -> None:
    found = inspect.run(branching.written(tmp_path / "m.onnx"))
    assert found.look.operators == {"Cast": 1, "If": 1, "MatMul": 1, "Reshape": 1}


def test_weights_beside_the_file_are_counted(made: tiny.Made, tmp_path: Path) -> None:
    model = onnx.load(made.file("onnx"))
    plain = inspect.run(made.file("onnx")).look
    onnx.save_model(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=100)
    look = inspect.run(tmp_path / "m.onnx").look
    assert look.beside == ("w.bin",)
    assert look.parameters == plain.parameters
    assert look.bytes == sum((tmp_path / name).stat().st_size for name in ("m.onnx", "w.bin"))
    (tmp_path / "w.bin").unlink()
    assert refused(tmp_path / "m.onnx").startswith("m.onnx: has weights in 'w.bin', which the build does not read")


def test_a_tflite_file_tells_the_same(made: tiny.Made) -> None:
    found = inspect.run(made.file("tflite"))
    assert found.source == "tflite"
    (port,) = found.look.inputs
    assert (sorted(port.shape), port.dtype) == ([1, 1, 12, 12], "float32")
    assert found.look.operators["CONV_2D"] > 3
    assert found.look.parameters == pytest.approx(inspect.run(made.file("onnx")).look.parameters, rel=0.02)
    assert found.look.integer is None
    assert inspect.run(made.file("tflite-int8")).look.integer == "int8"


def test_a_state_dict_is_trainable(made: tiny.Made, tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.zeros(3, 4), "n": torch.zeros(2, dtype=torch.int64)}}, tmp_path / "m.pth")
    found = inspect.run(tmp_path / "m.pth")
    assert found.look.what == (
        "state dict of 2 tensors (1 float32, 1 int64); tensors are those under 'model' in the file"
    )
    assert found.look.parameters == 12
    assert "distill" in found.techniques
    assert not found.refused
    assert inspect.run(made["float"] / "weights.safetensors").look.parameters > 1000


def programs(folder: Path) -> None:
    module = torch.nn.Linear(2, 2)
    torch.save(module, folder / "whole.pt")
    torch.jit.trace(module, torch.zeros(1, 2)).save(folder / "script.pt")
    torch.export.save(torch.export.export(module, (torch.zeros(1, 2),)), folder / "program.pt2")


@pytest.mark.filterwarnings("ignore")
def test_programs_are_named_and_not_run(tmp_path: Path) -> None:
    programs(tmp_path)
    told = "whole.pt: not plain tensors: it needs the code of torch.nn.modules.linear.Linear"
    assert refused(tmp_path / "whole.pt").startswith(told)
    assert refused(tmp_path / "script.pt").startswith(
        "script.pt: a TorchScript archive: it is a program, which is not run, and no state dict (where you trust it: "
    )
    shutil.copyfile(tmp_path / "script.pt", tmp_path / "script.jit")
    assert refused(tmp_path / "script.jit").startswith("script.jit: a TorchScript archive: it is a program")
    shutil.copyfile(tmp_path / "program.pt2", tmp_path / "program.pt")
    told = 'program.pt: a program of torch.export: it is no state dict ([source] use = "pt2" takes it)'
    assert refused(tmp_path / "program.pt") == told
    found = inspect.run(tmp_path / "program.pt2")
    assert (found.source, found.look.inputs[0].shown) == ("pt2", "input [1, 2] float32")
    assert "prune_channels" in found.techniques


BAD: dict[str, tuple[bytes, str]] = {
    "empty.onnx": (b"", "empty.onnx: is empty"),
    "text.onnx": (b"a text, not a model at all", "text.onnx: is no ONNX model: "),
    "text.tflite": (b"a text, not a model at all", "text.tflite: is no TFLite model: its identifier is missing"),
    "text.pth": (b"a text, not a model at all", "text.pth: not a file of torch.save with plain tensors"),
    "model.weird": (b"PK", "model.weird: no source takes .weird (did you mean"),
    "model": (b"x", "model: no source takes files without ending (known: .bin, .ckpt, .h5"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_model_is_refused(tmp_path: Path, name: str) -> None:
    content, told = BAD[name]
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name).startswith(told.replace("(did you mean", "("))


def test_truncated_files_are_refused(made: tiny.Made, tmp_path: Path) -> None:
    for kind in ("onnx", "tflite"):
        whole = made.file(kind).read_bytes()
        (tmp_path / f"half.{kind}").write_bytes(whole[: len(whole) // 2])
        assert refused(tmp_path / f"half.{kind}").startswith(f"half.{kind}: is ")


def damaged(content: bytes, place: int, length: int) -> bytes:
    return content[:place] + bytes(length) + content[place + length :]


def test_damaged_archives_are_refused(made: tiny.Made, tmp_path: Path) -> None:
    """As the kinds of damage that fuzzing met: zip, HDF5 and torch raise errors of many types, in looking as well."""
    torch.save({"w": torch.zeros(3, 4)}, tmp_path / "m.pth")
    zipped = (tmp_path / "m.pth").read_bytes()
    directory = zipped.rindex(b"PK\1\2")
    hdf5 = b"\x89HDF\r\n\x1a\n" + bytes(range(200, 256)) * 20  # a signature, and noise
    for name, content in {
        "zip.pth": damaged(zipped, directory, 4),
        "zip.keras": damaged(zipped, directory, 4),
        "version.keras": zipped[: directory + 6] + b"\xd6" + zipped[directory + 7 :],
        "noise.h5": hdf5,
        "list.keras": keras_zip(b"[1, 2]"),
        "zip.pt2": damaged(zipped, directory, 4),
        "cut.safetensors": (made["float"] / "weights.safetensors").read_bytes()[:100],
        "noise.safetensors": b"\xff" * 64,
    }.items():
        (tmp_path / name).write_bytes(content)
        assert "\n" not in refused(tmp_path / name), name


def keras_zip(config: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("config.json", config)
    return content.getvalue()


def test_weights_outside_the_folder_are_refused(made: tiny.Made, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    model = onnx.load(made.file("onnx"))
    onnx.save_model(model, folder / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=100)
    other: Any = onnx.load(folder / "m.onnx", load_external_data=False)
    shutil.move(folder / "w.bin", tmp_path / "w.bin")
    for tensor in other.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../w.bin"
    (folder / "m.onnx").write_bytes(other.SerializeToString())
    assert refused(folder / "m.onnx").startswith("m.onnx: names weights outside its folder: '../w.bin'")


def test_unknown_operators_and_missing_files_are_refused(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Bogus", ["x"], ["y"], domain="nowhere")
    ports = [onnx.helper.make_tensor_value_info(name, 1, [1, 2]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "g", ports[:1], ports[1:])
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("nowhere", 1)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "m.onnx")
    told = "m.onnx: has operators that ONNX Runtime does not know: Bogus of nowhere (export it with"
    assert refused(tmp_path / "m.onnx").startswith(told)
    assert refused(tmp_path / "none.onnx") == "none.onnx: No such file or directory"
    (tmp_path / "folder.onnx").mkdir()
    assert refused(tmp_path / "folder.onnx") == "folder.onnx: is a folder, and a model file is looked at"
