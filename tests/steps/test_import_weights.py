"""Weights of the user: taken as they are, or made to fit as PyTorch would, or refused in one line."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from edgebuild.nn import checkpoint, state_dict
from edgebuild.spec import notes
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.steps.import_weights import ImportWeights
from tests import tiny

Refuse = Callable[..., str]
Take = Callable[..., tuple[dict[str, torch.Tensor], list[str]]]

NET = "from torch import nn\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(6, 3))\n"
ENDS = Signature((TensorSpec("x", (2, 3)),), (TensorSpec("output", (3,)),))
STEP = ImportWeights("build", ENDS, origin="models/m", shown="models/m/w.safetensors")
GOOD = {"1.weight": torch.arange(18.0).reshape(3, 6), "1.bias": torch.ones(3)}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """An empty folder for the weights file."""
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture
def take(source: Callable[[str], Path], weights: Path, tmp_path: Path) -> Take:
    """The tensors of a model that takes its weights from these, saved by safetensors or torch, and the notes."""

    def run(code: str, saved: Any, zipped: bool | None = None) -> tuple[dict[str, torch.Tensor], list[str]]:
        if zipped is None:
            save_file(saved, weights / "w.safetensors")
        else:
            torch.save(saved, weights / "w.pth", _use_new_zipfile_serialization=zipped)
        given = {"code": ("", source(code)), "weights": ("", weights)}
        output = tiny.perform(STEP, tmp_path / "output", given)
        return load_file(output / checkpoint.WEIGHTS), notes.read(output)

    return run


def test_weights_that_fit_are_taken_bit_for_bit(source: Callable[[str], Path], weights: Path, tmp_path: Path) -> None:
    save_file(GOOD, weights / "weights.safetensors")
    output = tiny.perform(STEP, tmp_path / "output", {"code": ("", source(NET)), "weights": ("", weights)})
    kept = load_file(output / checkpoint.WEIGHTS)
    assert kept.keys() == GOOD.keys()
    assert all(torch.equal(kept[name], GOOD[name]) for name in GOOD)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"1.weight": torch.ones(6, 3)}, "of another shape: '1.weight' [6, 3], in the model [3, 6]"),
        ({"1.bias": None}, "the file lacks '1.bias' [3]"),
        ({"extra": torch.ones(1)}, "the model has no 'extra' [1]"),
        (
            {"1.weight": torch.ones(1), "1.bias": None, "bias": torch.ones(3)},
            "the file lacks '1.bias' [3]; the model has no 'bias' [3]; "
            "of another shape: '1.weight' [1], in the model [3, 6]",
        ),
        (
            {f"{name}.bias": torch.ones(2) for name in "abcde"},
            "the model has no 'a.bias' [2], 'b.bias' [2], 'c.bias' [2] and 2 more",
        ),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(
    refusal: Refuse, weights: Path, change: dict[str, torch.Tensor | None], told: str
) -> None:
    tensors = {name: tensor for name, tensor in (GOOD | change).items() if tensor is not None}
    save_file(tensors, weights / "weights.safetensors")
    assert refusal(STEP, NET, weights=weights) == f"models/m/w.safetensors: the weights do not fit: {told}"


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.model."])
def test_a_wrappers_prefix_is_left_out_and_told(take: Take, prefix: str) -> None:
    tensors, notes = take(NET, {prefix + name: tensor for name, tensor in GOOD.items()})
    assert all(torch.equal(tensors[name], GOOD[name]) for name in GOOD)
    assert notes == [f"models/m/w.safetensors: the prefix '{prefix}' of all names is left out"]


WRAPPED = (
    "from torch import nn\n"
    "class W(nn.Module):\n"
    "    def __init__(self):\n"
    "        super().__init__()\n"
    "        self.model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))\n"
    "    def forward(self, x):\n"
    "        return self.model(x)\n"
    "def build():\n    return W()\n"
)


@pytest.mark.parametrize("prefix", ["model.", "module.net.", "student."])
def test_tensors_below_a_prefix_that_others_lie_beside_are_taken_and_told(take: Take, prefix: str) -> None:
    tensors, notes = take(NET, {prefix + name: one for name, one in GOOD.items()} | {"loss.weight": torch.ones(3)})
    assert all(torch.equal(tensors[name], GOOD[name]) for name in GOOD)
    kept = f"tensors are those whose names begin with '{prefix}', which is left out; not 'loss.weight'"
    assert notes == [f"models/m/w.safetensors: {kept}"]


def test_two_of_the_same_model_in_a_file_are_named(refusal: Refuse, weights: Path) -> None:
    both = {f"{prefix}.{name}": tensor.clone() for prefix in ("teacher", "student") for name, tensor in GOOD.items()}
    save_file(both, weights / "w.safetensors")
    told = "several state dicts of this model: names begin with 'student.', 'teacher.' (save those of one alone, "
    assert refusal(STEP, NET, weights=weights).startswith(f"models/m/w.safetensors: {told}")


@pytest.mark.parametrize(("prefix", "lines"), [("", 0), ("module.", 1)])
def test_a_models_own_name_is_no_wrapper(take: Take, prefix: str, lines: int) -> None:
    tensors, told = take(WRAPPED, {f"{prefix}model.{name}": tensor for name, tensor in GOOD.items()})
    assert tensors.keys() == {"model.1.weight", "model.1.bias"}
    assert len(told) == lines


def test_a_prefix_of_some_names_alone_is_no_wrapper(refusal: Refuse, weights: Path) -> None:
    save_file({"module.1.weight": GOOD["1.weight"], "1.bias": GOOD["1.bias"]}, weights / "weights.safetensors")
    told = "the file lacks '1.weight' [3, 6]; the model has no 'module.1.weight' [3, 6]"
    assert refusal(STEP, NET, weights=weights) == f"models/m/w.safetensors: the weights do not fit: {told}"


NORMED = NET.replace("nn.Linear(6, 3)", "nn.Linear(6, 3), nn.BatchNorm1d(3)")
NORM = {f"2.{name}": torch.full((3,), 2.0) for name in ("weight", "bias", "running_mean", "running_var")}


def test_batch_norms_need_not_say_how_many_batches_they_saw(take: Take) -> None:
    tensors, notes = take(NORMED, GOOD | NORM)
    assert torch.equal(tensors["2.running_mean"], NORM["2.running_mean"])
    assert tensors["2.num_batches_tracked"] == 0
    assert notes == ["models/m/w.safetensors: num_batches_tracked is absent 1 times and stays 0"]


def test_the_statistics_of_a_batch_norm_may_not_be_absent(refusal: Refuse, weights: Path) -> None:
    save_file(GOOD | {name: NORM[name] for name in NORM if name != "2.running_var"}, weights / "w.safetensors")
    assert refusal(STEP, NORMED, weights=weights).endswith("do not fit: the file lacks '2.running_var' [3]")


def test_weights_that_fit_need_no_note(take: Take) -> None:
    tensors, notes = take(NORMED, GOOD | NORM | {"2.num_batches_tracked": torch.tensor(7)})
    assert tensors["2.num_batches_tracked"] == 7
    assert notes == []


def test_a_truncated_file_is_refused(refusal: Refuse, weights: Path) -> None:
    file = weights / "weights.safetensors"
    save_file(GOOD, file)
    whole = file.read_bytes()
    for length in (0, 4, 8, 60, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert refusal(STEP, NET, weights=weights).startswith(
            "models/m/w.safetensors: not a readable safetensors file: "
        )


def test_a_pickle_that_says_it_is_safetensors_is_not_read(refusal: Refuse, weights: Path) -> None:
    torch.save(GOOD, weights / "weights.safetensors")
    assert "not a readable safetensors file" in refusal(STEP, NET, weights=weights)


def test_safetensors_are_known_by_content_too(weights: Path) -> None:
    save_file(GOOD, weights / "w.bin")
    assert state_dict.read(weights / "w.bin", "w.bin")[0].keys() == GOOD.keys()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["", "state_dict", "model", "model_state", "model_state_dict", "ema", "net"])
def test_a_state_dict_that_torch_saved_is_taken_wherever_it_lies(take: Take, place: str, zipped: bool) -> None:
    wrapped = {f"module.{name}": tensor for name, tensor in GOOD.items()}
    saved = {place: wrapped, "epoch": 3, "optimizer": {"lr": 0.1}} if place else wrapped
    tensors, notes = take(NET, saved, zipped)
    assert all(torch.equal(tensors[name], GOOD[name]) for name in GOOD)
    found = f"tensors are those under {place!r} in the file; " if place else ""
    assert notes == [f"models/m/w.safetensors: {found}the prefix 'module.' of all names is left out"]


class Spoils:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"open({str(self.file)!r}, 'w')",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused_unread_and_names_it(
    refusal: Refuse, weights: Path, tmp_path: Path, zipped: bool
) -> None:
    torch.save(GOOD | {"x": Spoils(tmp_path / "ran")}, weights / "w.pth", _use_new_zipfile_serialization=zipped)
    line = refusal(STEP, NET, weights=weights)
    assert line.startswith("models/m/w.safetensors: not plain tensors: it needs the code of ")
    assert "eval, which is not run (save the state dict alone: " in line
    assert not (tmp_path / "ran").exists()


class Hyper(dict[str, Any]):
    """A mapping of a class of its own, as Lightning writes what it was told."""


@pytest.mark.parametrize("beside", [Namespace(lr=0.1), np.float64(71.3), np.arange(3), Hyper(lr=0.1), Path("data")])
def test_what_training_scripts_keep_beside_the_tensors_is_left_unread(take: Take, beside: Any) -> None:
    tensors, notes = take(NET, {"model": GOOD, "beside": beside}, zipped=True)
    assert all(torch.equal(tensors[name], GOOD[name]) for name in GOOD)
    assert notes == ["models/m/w.safetensors: tensors are those under 'model' in the file"]


def test_code_beside_the_tensors_does_not_run(take: Take, tmp_path: Path) -> None:
    take(NET, {"model": GOOD, "beside": Spoils(tmp_path / "ran")}, zipped=True)
    assert not (tmp_path / "ran").exists()


def test_an_average_beside_the_state_dict_is_told(take: Take) -> None:
    tensors, notes = take(NET, {"state_dict": GOOD, "state_dict_ema": {n: 0 * t for n, t in GOOD.items()}}, zipped=True)
    assert torch.equal(tensors["1.bias"], GOOD["1.bias"])
    told = "tensors are those under 'state_dict' in the file; not those under 'state_dict_ema'"
    assert notes == [f"models/m/w.safetensors: {told}"]


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (
            lambda file: torch.save(nn.Linear(2, 2), file),
            "not plain tensors: it needs the code of torch.nn.modules.lin",
        ),
        (lambda file: torch.save({"args": Namespace(a=1)}, file), "it needs the code of argparse.Namespace, which is"),
        (lambda file: torch.jit.script(nn.Linear(2, 2)).save(str(file)), "a TorchScript archive: it is a program"),
        (
            lambda file: torch.save({"epoch": 3, "lr": 0.1}, file),
            "holds no state dict but a mapping with 'epoch', 'lr'",
        ),
        (lambda file: torch.save([torch.ones(1)], file), "holds no state dict but list"),
        (lambda file: torch.save({}, file), "holds no state dict but a mapping with nothing"),
        (
            lambda file: torch.save({"model": GOOD, "state_dict": GOOD}, file),
            "several state dicts: under 'model', 'state_dict' (save the one that is meant alone: torch.save(torch.load",
        ),
        (lambda file: torch.save({"g": GOOD, "d": GOOD}, file), "several state dicts: under 'g', 'd' (save the one"),
        (lambda file: file.write_bytes(b"PK\x03\x04 and more"), "not a file of torch.save with plain tensors"),
        (lambda file: file.write_bytes(b"\x80\x02"), "not a file of torch.save with plain tensors (EOFError)"),
        (lambda file: file.write_text("hello there"), "not a file of torch.save with plain tensors (KeyError)"),
    ],
)
def test_files_without_a_state_dict_are_refused_in_one_line(
    refusal: Refuse, weights: Path, write: Callable[[Path], None], told: str
) -> None:
    write(weights / "w.pth")
    line = refusal(STEP, NET, weights=weights)
    assert line.startswith("models/m/w.safetensors: ")
    assert told in line
    assert len(line) < 300


def test_a_model_with_other_classes_is_refused(refusal: Refuse, weights: Path) -> None:
    save_file(GOOD, weights / "weights.safetensors")
    told = "models/m/model.py: build(): its model answers [2, 3] to 2 examples, not [2, 10], which labels or out"
    ten = Signature(ENDS.inputs, (TensorSpec("output", (10,)),))
    assert refusal(ImportWeights("build", ten, origin="models/m"), NET, weights=weights).startswith(told)
