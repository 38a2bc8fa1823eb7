"""Checkpoints: what was saved answers bit for bit the same when loaded, and two saves are the same bytes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgebuild.nn import checkpoint, records
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.spec import dataset
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec
from edgebuild.steps.techniques.prune_channels import PruneChannels
from tests import tiny


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def answers(made: tiny.Made, module: nn.Module) -> torch.Tensor:
    test = dataset.read(made["data"], "test")
    with torch.no_grad():
        found = module(*(torch.from_numpy(np.array(values[:32])) for values in test.inputs))
    assert isinstance(found, torch.Tensor)
    return found


@pytest.mark.parametrize("artifact", ["float", "pruned", "distilled"])
def test_a_loaded_module_answers_bit_for_bit_as_the_saved_one(made: tiny.Made, tmp_path: Path, artifact: str) -> None:
    first = checkpoint.load(made[artifact])
    checkpoint.save(first, tmp_path)
    second = checkpoint.load(tmp_path)
    assert not second.module.training
    assert torch.equal(answers(made, first.module), answers(made, second.module))


@pytest.mark.parametrize("artifact", ["float", "pruned"])
def test_two_saves_are_the_same_bytes(made: tiny.Made, tmp_path: Path, artifact: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        checkpoint.save(checkpoint.load(made[artifact]), tmp_path / name)
    first = contents(made[artifact])
    first.pop(records.FILE, None)  # of the step that made it, not of the checkpoint
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == first


def test_a_model_of_two_inputs_keeps_their_order_and_shapes_when_pruned(pair: tiny.Made, tmp_path: Path) -> None:
    first = checkpoint.load(pair["pruned"])
    checkpoint.save(first, tmp_path)
    assert torch.equal(answers(pair, first.module), answers(pair, checkpoint.load(tmp_path).module))
    assert [spec.name for spec in first.inputs] == ["picture", "facts"]


def test_a_whole_model_has_no_structure_and_a_pruned_one_names_what_changed(made: tiny.Made) -> None:
    described = {name: json.loads((made[name] / checkpoint.DESCRIPTION).read_text()) for name in ("float", "pruned")}
    assert described["float"]["structure"] == {}
    assert described["pruned"]["structure"]["stem"] == {"out_channels": 8}
    assert described["pruned"]["structure"]["head"] == {"in_features": 32}


def test_nothing_in_a_checkpoint_is_a_pickle_or_names_a_place_on_this_machine(made: tiny.Made) -> None:
    files = contents(made["pruned"])
    wanted = ["code/model.py", "code/model.toml", "record.json", "torch.json", "weights.safetensors"]
    assert sorted(files) == wanted
    assert not any(b"/tmp" in data or str(tiny.MODELS).encode() in data for data in files.values())


DERIVED = """from torch import nn
from torch.nn import utils
from torch.nn.utils import parametrizations


def build():
    first = parametrizations.weight_norm(nn.Conv1d(2, 16, 3, padding=1))
    second = utils.weight_norm(nn.Conv1d(16, 16, 3, padding=1))
    third = utils.spectral_norm(nn.Conv1d(16, 16, 3, padding=1))
    last = parametrizations.spectral_norm(nn.Linear(16, 4))
    convolutions = (first, nn.ReLU(), second, nn.ReLU(), third, nn.ReLU())
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool1d(1), nn.Flatten(), last)
"""


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_derived_weights_are_plain_ones_and_can_be_pruned(tmp_path: Path) -> None:
    """Answers stay; what a norm reckons from others would change when some of these go."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "model.py").write_text(DERIVED)
    code, inputs = ModelCode(tmp_path / "code", "models/m"), (TensorSpec("x", (2, 12)),)
    torch.manual_seed(0)
    module = code.build("build", inputs).eval()
    x = torch.randn(3, 2, 12)
    before = module(x)
    (tmp_path / "saved").mkdir()
    checkpoint.save(Checkpoint(module, code, "build", inputs), tmp_path / "saved")
    loaded = checkpoint.load(tmp_path / "saved").module
    assert {*loaded.state_dict()} == {f"{k}.{kind}" for k in (0, 2, 4, 8) for kind in ("weight", "bias")}
    assert torch.allclose(loaded(x), before, atol=1e-6)
    pruned = tiny.perform(
        PruneChannels(ratio=0.5, round_to=1), tmp_path / "p", {"model": ("torch", tmp_path / "saved")}
    )
    assert checkpoint.load(pruned).module[0].out_channels == 8  # type: ignore[index]


def test_tuples_grouped_convolutions_and_own_numbers_of_a_module_survive(
    tmp_path: Path,
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class N(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.deep = nn.Conv2d(4, 4, 3, groups=4)\n"
        "        self.norm = nn.LayerNorm((4, 6, 6))\n"
        "        self.heads, self.sizes = 2, (1, 2)\n"
        "    def forward(self, x):\n"
        "        return self.norm(self.deep(x)) * self.heads + self.sizes[1]\n"
        "def build():\n    return N()\n"
    )
    source, inputs = ModelCode(tmp_path / "source", "models/m"), (TensorSpec("x", (4, 8, 8)),)
    module = source.build("build", inputs)
    module.deep = nn.Conv2d(2, 2, 3, groups=2)
    module.norm = nn.LayerNorm((2, 6, 6))
    module.heads, module.sizes = 5, (3, 4)  # type: ignore[assignment]
    (tmp_path / "saved").mkdir()
    checkpoint.save(Checkpoint(module, source, "build", inputs), tmp_path / "saved")
    again = checkpoint.load(tmp_path / "saved").module
    x = torch.randn(1, 2, 8, 8)
    assert torch.equal(module.eval()(x), again(x))
    assert (vars(again)["heads"], vars(again)["sizes"]) == (5, (3, 4))


def test_sparse_parameters_are_remembered_by_name_and_found_in_the_loaded_module(
    made: tiny.Made, tmp_path: Path
) -> None:
    first = dataclasses.replace(checkpoint.load(made["float"]), sparse=("stem.weight",))
    checkpoint.save(first, tmp_path)
    again = checkpoint.load(tmp_path)
    assert again.sparse == ("stem.weight",)
    assert again.sparse_parameters() == [again.module.get_parameter("stem.weight")]
    assert checkpoint.load(made["float"]).sparse_parameters() == []


def test_a_module_with_other_layers_than_its_builder_makes_is_refused(made: tiny.Made, tmp_path: Path) -> None:
    model = checkpoint.load(made["float"])
    model.module.extra = nn.ReLU()
    with pytest.raises(ValueError, match="other sub-modules than as built: \\['extra'\\]"):
        checkpoint.save(model, tmp_path)


def test_augmentation_is_the_models_own_function(made: tiny.Made) -> None:
    model = checkpoint.load(made["float"])
    assert model.augmentation() is None
    assert callable(Checkpoint(model.module, model.code, "build", model.inputs, "load").augmentation())
    with pytest.raises(UsageError, match="augment: has no function 'turn'"):
        Checkpoint(model.module, model.code, "build", model.inputs, "turn").augmentation()


SCRIPT = """
import argparse, os, torch
parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int, default=3)
asked = parser.parse_args()
os.chdir("/")
torch.set_grad_enabled(False)

def build():
    os.chdir("/")
    return torch.nn.Linear(asked.width, 2)
"""


def test_a_script_reads_its_own_arguments_and_changes_nothing_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is imported where words of edgebuild's own are on the command line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["edgebuild", "models", "check", "m", "--json"])
    (tmp_path / "model.py").write_text(SCRIPT)
    module = ModelCode(tmp_path, "models/m").build("build", (TensorSpec("x", (3,)),))
    assert isinstance(module, nn.Linear)
    assert Path.cwd() == tmp_path
    assert torch.is_grad_enabled()


ODD = {
    "raise Odd()": "models/m/model.py: build(): raised Odd at line 9",
    "raise Stop('now')": "models/m/model.py: build(): raised Stop: now at line 9",
    "open('sizes.txt')": "(Path(__file__).parent / 'sizes.txt' is the one beside model.py)",
    "open(__file__[:-8] + 'a.txt')": 'files that model.toml names: include = ["a.txt"] (init: --include))',
    "open('absent.txt')": ": Path(__file__).parent is the code's own folder)",
    "import no_such.parts": " what has no_such, in the environment of edgebuild, or put it beside model.py)",
    "return torch.nn.Linear(3, 2).double()": "it has parameters of torch.float64: .float() makes them float32)",
}


@pytest.mark.parametrize("line", ODD)
def test_whatever_a_models_code_does_is_one_line_of_its_own(tmp_path: Path, line: str) -> None:
    code = "import torch\nclass Odd(Exception):\n    def __str__(self):\n        raise ValueError\n"
    (tmp_path / "sizes.txt").touch()
    (tmp_path / "model.py").write_text(f"{code}class Stop(BaseException):\n    pass\n\ndef build():\n    {line}\n")
    with pytest.raises(UsageError) as caught:
        ModelCode(tmp_path, "models/m").build("build", (TensorSpec("x", (3,)),))
    assert caught.value.line.endswith(ODD[line])


@pytest.mark.parametrize("line", ["import steady", "from steady.model import build", "from .. import others"])
def test_a_file_of_a_package_that_imports_the_rest_of_it_is_told_its_name(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "steady"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "model.py").write_text(f"{line}\n")
    with pytest.raises(UsageError, match="raised") as caught:
        ModelCode(folder, str(folder)).build("build", (TensorSpec("x", (3,)),))
    assert caught.value.hint == "it is part of steady: pip install that, and name steady.model:… in its place"


def test_a_models_folder_is_a_package_and_what_is_compiled_is_taken_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "sizes.py").write_text("WIDTH = 3\n")
    (tmp_path / "parts" / "layers.py").write_text("from ..sizes import WIDTH\nfrom torch.nn import Linear\n")
    code = "import torch\nfrom .parts.layers import Linear, WIDTH\nfrom sizes import WIDTH as SAME\n"
    code += "def build():\n    return torch.compile(Linear(WIDTH, SAME - 1))\n"
    (tmp_path / "model.py").write_text(code)
    module = ModelCode(tmp_path, "models/m").build("build", (TensorSpec("x", (3,)),))
    assert type(module) is nn.Linear


@pytest.mark.parametrize(
    "form", ["from sizes import WIDTH", "from .sizes import WIDTH", "from .deep.sizes import WIDTH"]
)
def test_neighbours_of_two_models_are_not_taken_for_each_other(tmp_path: Path, form: str) -> None:
    """A student and its teacher are built in one process, and both may have a `layers.py`."""
    for width in (3, 5):
        folder = tmp_path / str(width)
        (folder / "deep").mkdir(parents=True)
        for place in (folder, folder / "deep"):
            (place / "sizes.py").write_text(f"WIDTH = {width}\n")
        (folder / "model.py").write_text(f"import torch\n{form}\ndef build():\n    return torch.nn.Linear(WIDTH, 2)\n")
        module = ModelCode(folder, "models/m").build("build", (TensorSpec("x", (width,)),))
        assert module.in_features == width
