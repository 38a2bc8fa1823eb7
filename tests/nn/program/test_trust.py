"""A .pt2 file that would run code when it is loaded is refused, each kind by its name; ordinary ones are not."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgebuild.nn.program import archive, loaded, trust
from edgebuild.nn.program.look import look
from edgebuild.spec.errors import UsageError

Change = Callable[[dict[str, bytes], Path], None]


class Runs:
    """What pickle runs when it is read: it leaves a file behind."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return Path.touch, (self.place,)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten())
        self.head = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x))


def save(path: Path, module: nn.Module, batch: int | None = 1) -> Path:
    """With this batch, or an open one."""
    dynamic = ({0: torch.export.Dim("batch")},) if batch is None else None
    program = torch.export.export(module, (torch.zeros(batch or 2, 1, 6, 6),), dynamic_shapes=dynamic)
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("program") / "net.pt2", Net().eval(), None)


def changed(program: Path, to: Path, change: Change, mark: Path) -> Path:
    with zipfile.ZipFile(program) as read:
        records = {name.partition("/")[2]: read.read(name) for name in read.namelist()}
    change(records, mark)
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as write:
        for name, content in records.items():
            write.writestr(f"net/{name}", content)
    return to


def edit(record: str, old: str, new: str) -> Change:
    def change(records: dict[str, bytes], mark: Path) -> None:
        text = records[record].decode()
        assert old in text
        records[record] = text.replace(old, new, 1).encode()

    return change


def sample(records: dict[str, bytes], mark: Path) -> None:
    torch.save(((Runs(mark),), {}), buffer := io.BytesIO())
    records["data/sample_inputs/model.pt"] = buffer.getvalue()


def weight(records: dict[str, bytes], mark: Path) -> None:
    torch.save(Runs(mark), buffer := io.BytesIO())
    records["data/weights/weight_0"] = buffer.getvalue()
    edit("data/weights/model_weights_config.json", '"use_pickle": false', '"use_pickle": true')(records, mark)


def constant(records: dict[str, bytes], mark: Path) -> None:
    records["data/constants/opaque_obj_0"] = pickle.dumps(Runs(mark))
    config = {"config": {"c": {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False}}}
    records["data/constants/model_constants_config.json"] = json.dumps(config).encode()


def compiled(records: dict[str, bytes], mark: Path) -> None:
    records["data/aotinductor/model/model.so"] = b"\x7fELF"


GRAPH = "models/model.json"
CODE = "would run code to be loaded, which is not done: "
BAD: dict[str, tuple[Change, str]] = {
    "sample": (sample, f"{CODE}its example inputs are no plain tensors"),
    "weight": (weight, f"{CODE}'layers.0.weight' is a pickle, no plain tensor"),
    "constant": (constant, f"{CODE}'c' is a pickle, no plain tensor"),
    "compiled": (compiled, "holds compiled code ('data/aotinductor/model/model.so'), which is not run"),
    "call": (
        edit(GRAPH, "torch.ops.aten.relu.default", "torch.os.system"),
        f"{CODE}it calls 'torch.os.system', which is no operator of torch's own",
    ),
    "file": (
        edit(GRAPH, "torch.ops.aten.relu.default", "torch.ops.aten.save.default"),
        f"{CODE}it calls 'torch.ops.aten.save.default'",
    ),
    "size": (
        edit(GRAPH, "Symbol('s77', positive=True, integer=True)", "eval(chr(49))"),
        f"{CODE}a size is 'eval(chr(49))', which is no arithmetic",
    ),
    "attribute": (
        edit(GRAPH, "Symbol('s77', positive=True, integer=True)", "Symbol.mro()"),
        f"{CODE}a size is 'Symbol.mro()', which is no arithmetic",
    ),
    "container": (
        edit(GRAPH, "builtins.dict", "collections.defaultdict"),
        f"{CODE}it takes or gives a collections.defaultdict, whose class would be imported",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_would_run_code_is_refused_before_it_does(program: Path, tmp_path: Path, kind: str) -> None:
    change, told = BAD[kind]
    mark = tmp_path / "ran"
    with pytest.raises(UsageError) as caught:
        loaded.load(changed(program, tmp_path / "net.pt2", change, mark))
    assert caught.value.reason.startswith(told)
    assert caught.value.hint
    assert not mark.exists()


def test_such_a_file_does_run_code_where_nobody_looks(program: Path, tmp_path: Path) -> None:
    """Which is why this is here: torch falls back on a pickle."""
    bad = changed(program, tmp_path / "net.pt2", sample, tmp_path / "ran")
    with pytest.raises(Exception):  # noqa: B017, PT011, whatever it says of what came out
        torch.export.load(bad).module()(torch.zeros(2))
    assert (tmp_path / "ran").exists()


def test_ordinary_programs_are_let_through(program: Path, tmp_path: Path) -> None:
    """With open sizes, attention, and numbers that are computed of sizes."""

    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            half = x.shape[0] // 2 + 1
            scores = torch.softmax(x @ x.transpose(-1, -2) / x.shape[-1] ** 0.5, -1)
            return scores @ x, x.repeat(half, 1, 1, 1)[:half]

    for path in (program, save(tmp_path / "odd.pt2", Odd(), None)):
        trust.check(archive.read(path))


def test_a_look_needs_no_loading(program: Path) -> None:
    seen = look(program)
    assert seen.what.startswith("program of torch.export (torch 2.")
    assert [port.shown for port in seen.inputs] == ["x [s77, 1, 6, 6] float32"]
    assert [port.shown for port in seen.outputs] == ["linear [s77, 3] float32"]
    assert seen.parameters == sum(parameter.numel() for parameter in Net().parameters())
    assert seen.operators["aten.conv2d.default"] == 1


def test_a_program_in_training_mode_is_evaluated(tmp_path: Path) -> None:
    module = Net()
    module(torch.randn(64, 1, 6, 6) * 2 + 1)
    path = save(tmp_path / "net.pt2", module.train())
    assert look(path).what.endswith(", exported in training mode")
    x = torch.randn(1, 1, 6, 6)
    (answer,) = next(iter(loaded.run(path, [(x.numpy(),)])))
    assert torch.allclose(torch.from_numpy(answer), module.eval()(x), atol=1e-6)


@pytest.mark.parametrize("content", [b"a text", b"PK\x03\x04", b""])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pt2").write_bytes(content)
    with pytest.raises(UsageError, match="is no program of torch.export"):
        look(tmp_path / "net.pt2")
