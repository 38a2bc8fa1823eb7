"""What is guessed of somebody's file is said; what cannot be is a flag's; and nothing is written by halves."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from edgebuild.engine.task import Limits
from edgebuild.nn.network import Network
from edgebuild.plan import weights
from edgebuild.report.lines import Lines
from edgebuild.spec.errors import StepError, UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.project import Project, open_project
from edgebuild.spec.signature import TensorSpec
from edgebuild.verbs import check, inspect
from edgebuild.verbs.drafting import draft, inputs, named, states
from edgebuild.verbs.drafting.interview import Interview
from edgebuild.verbs.drafting.script import BUILDER, Script
from edgebuild.verbs.init import Begun, Wishes, run
from tests import brought, tiny
from tests.verbs import branching

NOBODY: Any = cast(Any, Lines)  # who would be told of steps, of which none runs


@pytest.fixture
def net(made: tiny.Made, tmp_path: Path) -> Path:
    """The tiny model, under another name."""
    path = tmp_path / "my net.onnx"
    path.write_bytes(made.file("onnx").read_bytes())
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return brought.pictures(tmp_path / "pictures", 8)


def begin(file: Path, **wishes: Any) -> Begun:
    return run(open_project(file.parent), file, Wishes(**wishes), None, 1, NOBODY, Limits())


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """The one line, after which there is no trace of a model."""

    def refuse(file: Path, **wishes: Any) -> str:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UsageError) as caught:
            begin(file, **wishes)
        assert sorted(path for path in tmp_path.rglob("*") if ".edgebuild" not in path.parts) == before
        return caught.value.line.replace(f"{file.parent}/", "")

    return refuse


def drafted(file: Path, **wishes: Any) -> tuple[dict[str, Any], list[str]]:
    interview = Interview(open_project(file.parent), file, "m", inspect.run(file), Wishes(**wishes), None)
    return tomllib.loads(draft.text(interview)), interview.guesses


def test_pictures_make_classes_of_folders_and_a_preprocessing(net: Path, pictures: Path) -> None:
    declared, guesses = drafted(net, data=pictures, mean=(0.4,), std=(0.2,), crop=0.9)
    assert declared["labels"] == [f"{number} {name}" for number, name in enumerate(brought.LABELS)]
    assert declared["data"] == {"use": "images", "folder": "../../pictures", "test": 0.5}
    assert declared["source"] == {"use": "onnx", "file": "my net.onnx"}
    assert declared["inputs"][0]["shape"] == [1, 12, 12]
    size = {"width": 12, "height": 12, "channels": 1}
    assert declared["preprocess"] == size | {"crop": 0.9, "mean": [0.4], "std": [0.2]}
    assert guesses == ["classes are the folders in the order of their names, as most training code has them"]


def test_pixels_go_in_as_the_file_answers_best(tmp_path: Path) -> None:
    """It tells bright from dark by the sign of the mean, which pixels from 0 to 1 do not have."""
    import onnx
    from onnx import helper

    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Neg", ["m"], ["n"]),
        helper.make_node("Concat", ["u", "v"], ["y"], axis=1),
    ]
    nodes[2:2] = [helper.make_node("Reshape", [name, "s"], [to]) for name, to in (("m", "u"), ("n", "v"))]
    sizes = onnx.numpy_helper.from_array(np.array([-1, 1]), "s")
    ports = [helper.make_tensor_value_info("x", 1, [1, 1, 4, 4]), helper.make_tensor_value_info("y", 1, [1, 2])]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [sizes])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    for name, shade in (("bright", 200), ("dark", 50)):
        (tmp_path / "p" / name).mkdir(parents=True)
        for number in range(5):
            Image.fromarray(np.full((4, 4), shade + number, np.uint8)).save(tmp_path / "p" / name / f"{number}.png")
    declared, guesses = drafted(tmp_path / "m.onnx", data=tmp_path / "p")
    assert (declared["preprocess"]["mean"], declared["preprocess"]["std"]) == ([0.5], [0.5])
    told = "pixels go in as -1 to 1, with which 10 of 10 pictures are answered right (5 as 0 to 1, 5 as 0 to 255)"
    assert guesses[-1] == f"{told}; --mean and --std say otherwise"
    reverse, _ = drafted(tmp_path / "m.onnx", data=tmp_path / "p", labels="dark,bright")
    assert reverse["preprocess"]["mean"] == [0.0]  # nothing is better than anything else


def test_data_outside_the_project_is_named_by_its_whole_path(
    net: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = brought.pictures(tmp_path_factory.mktemp("elsewhere") / "x", 8)
    assert drafted(net, data=elsewhere)[0]["data"]["folder"] == str(elsewhere)


def test_arrays_tell_their_task_by_their_labels(net: Path, tmp_path: Path) -> None:
    declared, guesses = drafted(net, data=brought.arrays(tmp_path / "a.npz", 8))
    assert declared["labels"] == ["0", "1", "2", "3"]
    assert "preprocess" not in declared
    assert guesses[0] == "task 'classification', since labels are whole numbers"
    np.savez(tmp_path / "b.npz", image=np.zeros((8, 1, 12, 12), np.float32), y=np.zeros((8, 4), np.float32))
    declared, _ = drafted(net, data=tmp_path / "b.npz")
    assert (declared["task"], declared["outputs"]) == ("regression", 4)
    declared, _ = drafted(net, data=tmp_path / "b.npz", task="embedding")
    assert declared["task"] == "embedding"


@pytest.mark.parametrize(
    ("labels", "task", "names"),
    [
        (np.zeros((8, 4, 4), np.uint8), "segmentation", 2),
        (np.eye(3, dtype=np.int64)[[0, 1, 2] * 3][:8] | 1, "multilabel", 3),
    ],
)
def test_arrays_of_several_labels_name_their_classes(tmp_path: Path, labels: np.ndarray, task: str, names: int) -> None:
    """Whatever the arrays are called, where shapes leave no doubt."""
    import onnx
    from onnx import helper

    shape = [1, 2, 4, 4] if task == "segmentation" else [1, 3]
    node = helper.make_node("Relu" if task == "segmentation" else "Identity", ["x"], ["y"])
    ports = [helper.make_tensor_value_info(name, 1, shape) for name in ("x", "y")]
    graph = helper.make_graph([node], "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    np.savez(tmp_path / "d.npz", pixels=np.zeros((8, *shape[1:]), np.float32), truth=labels)
    declared, guesses = drafted(tmp_path / "m.onnx", data=tmp_path / "d.npz")
    assert (declared["data"]["inputs"], declared["data"]["labels"]) == (["pixels"], ["truth"])
    answers = declared["outputs"][0] if task == "segmentation" else declared
    assert (answers["task"], answers["labels"]) == (task, [str(number) for number in range(names)])
    assert guesses[:2] == ["inputs are the array 'pixels'", "labels are the array 'truth'"]


def test_a_folder_is_called_as_the_file_without_accents(
    made: tiny.Made, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a draft that is refused is called one, by the folder that it would have had."""
    path = tmp_path / "modèle (été).onnx"
    path.write_bytes(made.file("onnx").read_bytes())

    def refuse(project: Project, model: ModelSpec, *rest: object) -> None:
        assert model.folder.is_dir()
        raise UsageError("is odd", file=f"{model.origin}/model.toml", key="data")

    monkeypatch.setattr(check, "run", refuse)
    with pytest.raises(UsageError) as caught:
        begin(path, data=pictures, mean=(0.0,))
    assert caught.value.line == "draft of models/modele-ete/model.toml: data: is odd"


def test_what_somebodys_code_prints_is_in_no_answer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`--json` is one document, whatever the class that is looked at says when it is imported, built and run."""
    (tmp_path / "net.py").write_text(
        "import os, torch\nprint('imported')\nos.write(1, b'raw')\n"
        "class Net(torch.nn.Linear):\n"
        "    def __init__(self):\n        super().__init__(3, 2)\n        print('built')\n"
        "    def forward(self, x):\n        print('run')\n        return super().forward(x)\n"
    )
    assert named.answers(Script(tmp_path / "net.py", "Net"), (TensorSpec("x", (3,)),)) == [("output", (2,), "float32")]
    assert capfd.readouterr() == ("", "")


def test_open_sizes_are_those_of_a_flag(zoo: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    import onnx

    model = onnx.load(zoo / "mlp.onnx")
    for value, name in ((model.graph.input[0], "width"), (model.graph.input[0], "batch")):
        value.type.tensor_type.shape.dim[1 if name == "width" else 0].dim_param = name
    path = tmp_path / "open.onnx"
    path.write_bytes(model.SerializeToString())
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 4), np.float32), y=np.array([0, 1, 2, 0]))
    told = "open.onnx: --shape: is missing: a shape for input x [batch, width] float32, such as x=1,N"
    assert refused(path, data=tmp_path / "d.npz") == told
    assert drafted(path, data=tmp_path / "d.npz", shapes=("x=1,4",))[0]["inputs"][0]["shape"] == [4]
    assert refused(path, data=tmp_path / "d.npz", shapes=("z=1,4",)).startswith("open.onnx: --shape: has no input 'z'")
    assert refused(path, data=tmp_path / "d.npz", shapes=("x=2,4",)).startswith("open.onnx: input x [batch, width]")
    assert refused(path, data=tmp_path / "d.npz", shapes=("x=1,5",)).startswith("open.onnx: cannot be run: ")


def test_a_batch_behind_the_time_is_known_for_what_it_is(tmp_path: Path, refused: Callable[..., str]) -> None:
    """What has no axes, does not say how many, or takes nothing is refused whatever a flag says."""
    import onnx
    from onnx import TensorProto, helper

    def written(name: str, shape: list[int | str] | None) -> Path:
        ends = [[helper.make_tensor_value_info(end, TensorProto.FLOAT, shape)] for end in ("x", "y")]
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", *ends)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / name)
        return tmp_path / name

    unknown = written("unknown.onnx", None)
    told = "unknown.onnx: input x [...] float32 does not say how many axes it has"
    assert refused(unknown, shapes=("x=1,4",)).startswith(told)
    assert drafted(written("sequence.onnx", [7, "batch", 3]))[0]["inputs"][0]["shape"] == [7, 1, 3]
    scalar = written("scalar.onnx", [])
    assert refused(scalar, shapes=("x=1,4",)).startswith("scalar.onnx: --shape: input is x [] float32, not ")
    model = onnx.load(scalar)
    model.graph.initializer.append(helper.make_tensor("x", TensorProto.FLOAT, [], [1.0]))
    model.graph.ClearField("input")
    onnx.save(model, scalar)
    assert refused(scalar).startswith("scalar.onnx: takes no inputs: it answers the same whatever it is asked")


def test_outputs_whose_plain_names_are_the_same_are_numbered(tmp_path: Path) -> None:
    """init wrote one name twice, and refused what it had written."""
    import onnx
    from onnx import TensorProto, helper

    names = ["o/1", "o:1", "o_1_2"]
    nodes = [helper.make_node("Relu", ["x"], [name]) for name in names]
    value, *outputs = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", *names))
    graph = helper.make_graph(nodes, "g", [value], outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    declared, _ = drafted(tmp_path / "m.onnx")
    assert [one["name"] for one in declared["outputs"]] == ["o_1", "o_1_2", "o_1_2_2"]


def test_a_number_that_may_be_always_the_same_is_told_with_its_flag(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    """Zeros go into the branch that does not take this shape."""
    path = branching.written(tmp_path / "m.onnx")
    flag = "where it is always the same, such as a sample rate: --constant rate=…"
    told = refused(path)
    assert told.startswith("m.onnx: cannot be run: ")
    assert told.endswith(f"(tried with rate = 0; {flag})")
    declared, guesses = drafted(path, constants=("rate=1",))
    assert declared["source"]["constants"] == {"rate": 1}
    assert not any("rate" in guess for guess in guesses)
    taken = branching.written(tmp_path / "m.onnx", size=4)
    assert f"'rate' may be any number; {flag}" in drafted(taken)[1]


def test_weights_alone_get_code_to_be_filled_in(tmp_path: Path, pictures: Path) -> None:
    torch.save(torch.nn.Linear(144, 4).state_dict(), tmp_path / "w.pth")
    told = r"--shape: is missing: .*\(these are weights without their network: edgebuild init"
    with pytest.raises(UsageError, match=told):
        begin(tmp_path / "w.pth", data=pictures)
    begun = begin(tmp_path / "w.pth", data=pictures, shapes=("image=1,1,12,12",))
    folder = tmp_path / "models" / "w"
    assert sorted(path.name for path in folder.iterdir()) == ["model.py", "model.toml", "w.pth"]
    assert begun.todo == "write build() in models/w/model.py"
    assert begun.checked is None
    spec = open_project(tmp_path).model("w")
    assert (spec.declared.builder, spec.declared.weights) == ("build", "w.pth")
    assert [path.name for path in (tmp_path / "targets").iterdir()] == ["host.toml"]


NET = '''"""Somebody's network, which imports a neighbour."""
from torch import nn

from . import blocks


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), blocks.block(144, width), nn.Linear(width, 4))

    def forward(self, image):
        return self.body(image)
'''
BLOCKS = """from .parts.plain import relu
from torch import nn


def block(i, o):
    return nn.Sequential(nn.Linear(i, o), relu())
"""


@pytest.fixture
def net_file(tmp_path: Path) -> Path:
    """Of somebody: a file, what it imports, and what it does not."""
    folder = tmp_path / "theirs"
    (folder / "parts").mkdir(parents=True)
    (folder / "net.py").write_text(NET)
    (folder / "blocks.py").write_text(BLOCKS)
    (folder / "parts" / "__init__.py").write_text("")
    (folder / "parts" / "plain.py").write_text("from torch.nn import ReLU as relu\nfrom ..far import NOTHING\n")
    (folder / "far.py").write_text("from . import near\nNOTHING = near.NOTHING\n")
    (folder / "near.py").write_text("NOTHING = None\n")
    (folder / "unused.py").write_text("raise RuntimeError\n")
    return folder / "net.py"


def test_a_class_in_somebodys_file_becomes_the_models_code(net_file: Path, pictures: Path) -> None:
    """With what it imports beside it; where it is told something, by a function behind it."""
    asked = named.asked(f"{net_file}:Net", ("width=8",))
    assert isinstance(asked, Script)
    assert [path.name for path in asked.beside()] == ["blocks.py", "parts", "far.py", "near.py"]
    inspected = named.inspected(asked, named.RANDOM)
    interview = Interview(
        open_project(pictures.parent),
        net_file,
        "m",
        inspected,
        Wishes(data=pictures, shapes=("image=1,1,12,12",), weights=named.RANDOM),
        None,
        network=asked,
    )
    declared = tomllib.loads(draft.text(interview))
    assert (declared["builder"], "weights" in declared, len(declared["labels"])) == (BUILDER, False, 4)
    code = draft.code(interview)
    assert code is not None
    assert code.startswith(NET.rstrip())
    assert code.endswith(f"\n\n\ndef {BUILDER}():\n    return Net(width=8)\n")
    assert named.asked("torch.nn:ReLU", ("inplace=true",)) == Network("package", "torch.nn:ReLU", {"inplace": True})
    plain = named.asked(f"{net_file}:Net", ())
    assert isinstance(plain, Script)
    assert (plain.builder, plain.code()) == ("Net", NET)
    assert plain.module().body[1][0].out_features == 4  # type: ignore[index,union-attr]


def test_what_a_class_reads_goes_along(net_file: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the packages beside it that it imports, as model.toml names them: nothing else is part of the code."""
    folder, seen = net_file.parent, dict[str, str]()
    (folder / "tables").mkdir()
    (folder / "tables" / "[1].txt").write_text("5")
    net_file.write_text(
        f"from pathlib import Path\n{NET}\nint((Path(__file__).parent / 'tables/[1].txt').read_text())\n"
    )

    def look(project: Project, model: ModelSpec, *_: object) -> SimpleNamespace:
        seen.update({name: path.read_text() for name, path in weights._files(model).items()})
        return SimpleNamespace(recipe=None)

    monkeypatch.setattr(check, "run", look)
    read = (folder / "tables" / "[1].txt",)
    begin(Path(f"{net_file}:Net"), name="m", data=pictures, shapes=("image=1,1,12,12",), weights="random", include=read)
    own = {"model.py", "blocks.py", "far.py", "near.py"}
    assert seen.keys() == own | {"parts/__init__.py", "parts/plain.py", "tables/[1].txt"}
    assert seen["tables/[1].txt"] == "5"


@pytest.mark.parametrize(
    ("name", "told"),
    [("theirs/none", "no such file or folder"), ("digits", "does not lie in the folder of the code, theirs")],
)
def test_what_the_code_could_not_find_is_refused(
    net_file: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    monkeypatch.chdir(net_file.parent.parent)
    Path("digits").touch()
    with pytest.raises(UsageError) as caught:
        named.asked("theirs/net.py:Net", (), (Path(name),))
    assert caught.value.line.startswith(f"{name}: --include: {told}")


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("net.py:Nett", (), "net.py: has no class or function 'Nett' (did you mean 'Net'? known: Net)"),
        ("nets.py:Net", (), "nets.py: cannot be read: No such file or directory"),
        (
            "blocks.py:block",
            ("i=1", "o=2", "x=3"),
            "blocks.py: block(): raised TypeError: block() got an unexpected key",
        ),
        ("broken.py:Net", (), "broken.py: is no Python of 3."),
        ("raising.py:Net", (), "raising.py: builder: raised RuntimeError at line 1"),
        ("raising.py:other", (), "raising.py: builder: raised RuntimeError at line 1"),
    ],
)
def test_a_file_that_builds_nothing_is_refused(net_file: Path, name: str, options: tuple[str, ...], told: str) -> None:
    (net_file.parent / "broken.py").write_text("class Net(\n")
    (net_file.parent / "raising.py").write_text("raise RuntimeError\nclass Net: ...\ndef other(): ...\n")

    def built() -> torch.nn.Module:
        network = named.asked(str(net_file.with_name(name)), options)
        assert isinstance(network, Script)
        return network.module()

    with pytest.raises(UsageError) as caught:
        built()
    assert caught.value.line.replace(f"{net_file.parent}/", "").startswith(told)


def test_a_file_that_ends_its_process_is_named(net_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended the command, in silence and with what code it liked."""
    net_file.write_text("import os\nos._exit(0)\nclass Net: ...\n")
    monkeypatch.chdir(net_file.parent)
    asked = {"weights": "random", "data": pictures_of(net_file.parent), "shapes": ("image=1,1,12,12",)}
    with pytest.raises(StepError) as caught:
        begin(Path("net.py:Net"), **asked)
    ended = "net.py:Net: crashed what looks at it: the process ended with code 0 and said nothing"
    assert caught.value.line == ended
    assert not Path("models").exists()


def pictures_of(folder: Path) -> Path:
    return brought.pictures(folder / "pictures", 8)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such data": ({"data": Path("nowhere")}, "--data: no such file or folder: 'nowhere'"),
    "fewer classes": ({"labels": "a,b"}, "--labels: names 2 classes, and the model answers 4"),
    "one class": ({"labels": "a"}, "--labels: 'a' names fewer than two classes (a,b,c or a file with a line each)"),
    "another size": ({"size": (24, 24)}, "my net.onnx: --size: the model takes pictures of 12×12 (--shape fixes open"),
    "another task": ({"task": "clasification"}, "--task: unknown task 'clasification' (did you mean 'classification'?"),
    "another target": ({"target": "hots"}, "unknown target 'hots' (did you mean 'host'?"),
    "no name": ({"name": "../x"}, "--name: '../x' is no name for a folder: letters, digits, - and _"),
    "a mean for three": (
        {"mean": (0.1, 0.2, 0.3)},
        "models/my-net/model.toml: preprocess: mean has 3 values for 1",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_is_refused_without_a_trace(
    net: Path, pictures: Path, refused: Callable[..., str], kind: str
) -> None:
    wishes, told = WRONG[kind]
    assert refused(net, **{"data": pictures} | wishes).startswith(told)


def test_folders_that_are_not_all_classes_ask_for_their_names(
    net: Path, pictures: Path, refused: Callable[..., str]
) -> None:
    (pictures / "more").mkdir()
    told = "my net.onnx: --labels: is missing: the model answers 4 classes, the data has 5: name all, in order"
    assert refused(net, data=pictures) == told


def test_nothing_is_written_over(net: Path, pictures: Path, refused: Callable[..., str]) -> None:
    (net.parent / "models" / "my-net").mkdir(parents=True)
    told = "models/my-net: is there already (name another with --name, or take it away)"
    assert refused(net, data=pictures) == told


def test_somebody_at_a_terminal_is_asked(net: Path, pictures: Path) -> None:
    asked = []

    def ask(flag: str, question: str) -> str:
        asked.append(flag)
        return str(pictures)

    interview = Interview(open_project(net.parent), net, "m", inspect.run(net), Wishes(), ask)
    assert 'use = "images"' in draft.text(interview)
    assert asked == ["--data"]


def test_a_network_of_a_package_has_the_inputs_of_the_flag(tmp_path: Path) -> None:
    """It was taken for a file that takes none, and refused."""
    network = Network("package", "torch.nn:Linear", {"in_features": 4, "out_features": 2})
    known = named.inspected(network, "random")
    asked = Wishes(shapes=("x=1,4",), weights="random")
    interview = Interview(open_project(tmp_path), Path("torch.nn:Linear"), "m", known, asked, None, network=network)
    assert inputs.declared(interview) == (TensorSpec("x", (4,)),)


BY_NAME: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown": (
        "timm:test_efficientnt",
        {"weights": "random"},
        "timm:test_efficientnt: timm has no network 'test_efficientnt' (did you mean 'test_efficientnet'",
    ),
    "no weights": (
        "timm:test_efficientnet",
        {},
        "timm:test_efficientnet: --weights: is missing: nothing is downloaded (a .safetensors or .pth file",
    ),
    "weights that are not there": (
        "timm:test_efficientnet",
        {"weights": "gone.pth"},
        "gone.pth: No such file or directory",
    ),
    "an option of weights": (
        "torchvision:mobilenet_v2",
        {"weights": "random", "options": ("pretrained=true",)},
        "torchvision:mobilenet_v2: --option: is about weights that the package would read or download",
    ),
    "no option": (
        "torchvision:mobilenet_v2",
        {"weights": "random", "options": ("pretrained",)},
        "--option: 'pretrained' is not KEY=VALUE, such as num_classes=10",
    ),
}


@pytest.mark.parametrize("kind", BY_NAME)
def test_a_network_that_cannot_be_had_by_its_name_is_refused(
    tmp_path: Path, pictures: Path, refused: Callable[..., str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, wishes, told = BY_NAME[kind]
    assert refused(Path(name), data=pictures, **wishes).startswith(told)


def test_a_network_by_its_name_is_fed_as_it_usually_is(tmp_path: Path, pictures: Path) -> None:
    """And has as many classes as the data; both are said."""
    network = Network("timm", "test_efficientnet")
    seen = named.inspected(network, "random")
    wishes = Wishes(data=pictures, weights="random")
    interview = Interview(open_project(tmp_path), Path("timm:x"), "m", seen, wishes, None, network=network)
    declared = tomllib.loads(draft.text(interview))
    source = {"use": "timm", "name": "test_efficientnet", "weights": "random", "options": {"num_classes": 4}}
    assert declared["source"] == source
    assert (declared["inputs"][0]["shape"], declared["preprocess"]["crop"]) == ([3, 160, 160], 0.95)
    assert declared["preprocess"]["mean"] == [0.485, 0.456, 0.406]
    assert interview.guesses[0].startswith("num_classes is 4, as many as the data has classes; --option num_classes=…")
    assert any("pixels go in as timm:test_efficientnet is usually trained" in guess for guess in interview.guesses)


def test_a_network_by_its_name_is_as_large_as_the_arrays_that_go_in(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((40, 3, 64, 48), np.float32), y=np.arange(40) % 4)
    network = Network("timm", "test_efficientnet")
    wishes = Wishes(data=tmp_path / "d.npz", weights="random")
    seen = named.inspected(network, "random")
    interview = Interview(open_project(tmp_path), Path("timm:x"), "m", seen, wishes, None, network=network)
    declared = tomllib.loads(draft.text(interview))
    assert declared["inputs"][0]["shape"] == [3, 64, 48]
    assert declared["description"] == "m: test_efficientnet of timm, trained from random weights"
    told = "input 'image' is [3, 64, 48], as the examples are; --shape image=1,3,160,160 is what is usual"
    assert told in interview.guesses


@pytest.mark.parametrize(
    ("network", "sides"),
    [
        (Network("timm", "test_vit", {"img_size": 32}), (32, 32)),
        (Network("timm", "test_vit", {"img_size": [32, 48]}), (32, 48)),
        (Network("torchvision", "vit_b_16", {"image_size": 64}), (64, 64)),
        (Network("torchvision", "maxvit_t", {"input_size": [64, 96]}), (64, 96)),
    ],
)
def test_a_network_that_is_told_the_size_of_pictures_is_fed_that(network: Network, sides: tuple[int, int]) -> None:
    assert named.inspected(network, "random").look.inputs[0].shape == ("batch", 3, *sides)


def test_without_data_the_draft_says_loudly_that_nothing_is_known_of_accuracy(net: Path) -> None:
    interview = Interview(open_project(net.parent), net, "m", inspect.run(net), Wishes(), None)
    text = draft.text(interview)
    assert "# THERE IS NO DATA." in text
    assert "NOTHING OF ACCURACY" in text
    declared = tomllib.loads(text)
    assert declared["data"] == {"use": "noise"}
    assert declared["task"] == "agreement"
    assert "preprocess" not in declared
    assert any(guess.startswith("THERE IS NO DATA") for guess in interview.guesses)


def test_without_labels_every_output_is_held_against_the_originals(tmp_path: Path) -> None:
    """What had no task was held to parity, which sees nothing of what quantization makes of it."""
    from onnx import TensorProto, helper, save

    x, y, z = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xyz")
    nodes = [helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Abs", ["x"], ["z"])]
    graph = helper.make_graph(nodes, "g", [x], [y, z])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    declared, guesses = drafted(tmp_path / "m.onnx")
    assert [output["task"] for output in declared["outputs"]] == ["agreement", "agreement"]
    assert "agreement is asked of every output" in guesses
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 4), np.float32), y=np.array([0, 1, 2, 3]))
    declared, guesses = drafted(tmp_path / "m.onnx", data=tmp_path / "d.npz")
    assert ["task" in output for output in declared["outputs"]] == [True, False]
    assert any(guess.endswith("held to parity alone, which sees nothing of what quantizes") for guess in guesses)


@pytest.mark.parametrize("stateful", [True, False])
def test_what_may_come_back_with_the_next_step_is_suggested(tmp_path: Path, stateful: bool) -> None:
    """Only where an input and an output are left that are no states; the line holds as it stands."""
    from onnx import TensorProto, helper, numpy_helper, save

    sizes = {"x": 3, "h/0": 4, "y": 2 if stateful else 3, "h/1": 4}
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in sizes.items()]
    nodes = [helper.make_node("Slice", ["x", "a", "b", "axis"], ["y"]), helper.make_node("Tanh", ["h/0"], ["h/1"])]
    numbers = {"a": 0, "b": sizes["y"], "axis": 1}
    constants = [numpy_helper.from_array(np.array([number]), name) for name, number in numbers.items()]
    graph = helper.make_graph(nodes, "g", ports[:2], ports[2:], constants)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    interview = Interview(
        open_project(tmp_path), tmp_path / "m.onnx", "m", inspect.run(tmp_path / "m.onnx"), Wishes(), None
    )
    text = draft.text(interview)
    assert any("'h/0' (output 'h/1') may be by shape" in guess for guess in interview.guesses) == stateful
    if stateful:
        declared = tomllib.loads(text.replace('# state = {from = "h_1"}', 'state = {from = "h_1"}'))
        assert [one.get("state") for one in declared["inputs"]] == [None, {"from": "h_1"}]


def test_of_several_outputs_that_may_come_back_all_are_named() -> None:
    """Nothing says which of them: the first line would be wrong half of the time."""
    inputs = [TensorSpec(name, shape) for name, shape in (("x", (8,)), ("b", (4,)), ("a", (4,)))]
    outputs = [TensorSpec(name, shape) for name, shape in (("y", (2,)), ("one", (4,)), ("two", (4,)))]
    back = states.possible(inputs, outputs)
    assert back == {"b": ["one", "two"], "a": ["two", "one"]}
    assert states.line(back["a"]).startswith('# state = {from = "two"}  #')
    assert ', or "one"; data' in states.line(back["a"])


def test_what_nothing_is_learnt_through_has_no_task_where_the_model_is_trained(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Linear):\n    def forward(self, x):\n"
        "        y = super().forward(x)\n        return y, y.argmax(-1), y.softmax(-1)\n"
    )
    asked = named.asked(f"{tmp_path / 'net.py'}:Net", ("in_features=4", "out_features=3"))
    assert asked is not None
    seen, wishes = named.inspected(asked, named.RANDOM), Wishes(shapes=("x=1,4",), weights=named.RANDOM)
    interview = Interview(open_project(tmp_path), tmp_path / "net.py", "m", seen, wishes, None, network=asked)
    declared = tomllib.loads(draft.text(interview))
    assert [output.get("task") for output in declared["outputs"]] == ["agreement", None, "agreement"]
    told = "agreement is asked of every output that something can be learnt through; the others have parity"
    assert told in interview.guesses


def test_pixels_go_as_they_are_into_an_input_of_whole_numbers(tmp_path: Path, pictures: Path) -> None:
    """What scales pixels is in the file, so neither mean nor deviation is guessed; `run.py` gives what pixels are."""
    from onnx import TensorProto, helper, save

    from edgebuild.spec.files import read_model
    from edgebuild.travels import prepare_image

    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["m"], axes=[1, 2], keepdims=0),
        helper.make_node("Concat", ["m", "m", "m", "m"], ["y"], axis=1),
    ]
    ports = [
        helper.make_tensor_value_info("x", TensorProto.UINT8, ["N", 12, 12, 1]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4]),
    ]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:])
    net = tmp_path / "net.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), net)
    declared, guesses = drafted(net, data=pictures, labels=",".join(sorted(p.name for p in pictures.iterdir())))
    assert declared["inputs"] == [{"name": "x", "shape": [12, 12, 1], "dtype": "uint8"}]
    size = {"width": 12, "height": 12, "channels": 1}
    assert declared["preprocess"] == size | {"layout": "nhwc", "dtype": "uint8"}
    assert "pixels go in as they are, since the model takes whole numbers" in guesses
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.toml").write_text(
        draft.text(Interview(open_project(tmp_path), net, "m", inspect.run(net), Wishes(data=pictures), None))
    )
    how = read_model(tmp_path / "m", "models/m/model.toml").declared.preprocess
    assert how is not None
    pixels = np.arange(144, dtype=np.uint8).reshape(12, 12, 1)
    (given,) = prepare_image.prepare(pixels, how.json())
    assert given.dtype == np.uint8
    np.testing.assert_array_equal(given, pixels)
    with pytest.raises(UsageError, match="--mean: is for inputs of real numbers"):
        drafted(net, data=pictures, mean=(0.5,))


TEXT = """import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(9, 4)

    def forward(self, ids):
        return self.table(ids).mean(1)


class Masked(Net):
    def forward(self, ids, scale, mask):
        return (self.table(ids) * scale[..., None]).masked_fill(~mask[..., None], 0).mean(1)


class Either(Net):
    def forward(self, ids):
        return super().forward(ids.long())
"""


def types_of(folder: Path, name: str, shapes: tuple[str, ...], arrays: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Element types of the inputs that a network of TEXT gets, with data of these arrays, and what was guessed."""
    (folder / "net.py").write_text(TEXT)
    if arrays:
        np.savez(folder / "data.npz", **arrays)
    asked = named.asked(name if ":" in name else f"{folder / 'net.py'}:{name}", ())
    assert asked is not None
    data = folder / "data.npz" if arrays else None
    seen, wishes = named.inspected(asked, named.RANDOM), Wishes(data=data, shapes=shapes, weights=named.RANDOM)
    interview = Interview(open_project(folder), folder / "net.py", "m", seen, wishes, None, network=asked)
    declared = tomllib.loads(draft.text(interview))
    return [spec.get("dtype", "float32") for spec in declared["inputs"]], interview.guesses


def test_a_network_gets_the_types_of_inputs_that_it_takes(tmp_path: Path) -> None:
    """A text network took float32 alone, and nothing could say otherwise."""
    types, guesses = types_of(tmp_path, "Net", ("ids=1,5",), {})
    told = "input 'ids' is int64, since float32 is not what it takes; --shape ids=1,5:TYPE says otherwise"
    assert types == ["int64"]
    assert told in guesses
    assert types_of(tmp_path, "torch.nn:Identity", ("x=1,5",), {})[0] == ["float32"]  # a package's says nothing either
    masked = ("ids=1,5", "scale=1,5", "mask=1,5")
    assert types_of(tmp_path, "Masked", masked, {})[0] == ["int64", "float32", "bool"]


@pytest.mark.parametrize(
    ("kind", "shape", "types"),
    [
        ("int32", "ids=1,5", "int32"),
        ("bool", "ids=1,5", "bool"),
        ("float64", "ids=1,5", "float32"),
        ("int32", "ids=1,5:int64", "int64"),
    ],
)
def test_arrays_say_the_types_of_inputs_that_nobody_says(tmp_path: Path, kind: str, shape: str, types: str) -> None:
    arrays = {"x": np.zeros((12, 5), kind), "y": np.arange(12) % 4}
    assert types_of(tmp_path, "Either", (shape,), arrays)[0] == [types]


def test_a_type_that_is_none_or_another_than_the_files_is_refused(net: Path, refused: Callable[..., str]) -> None:
    with pytest.raises(UsageError) as caught:
        types_of(net.parent, "Net", ("ids=1,5:int46",), {})
    assert caught.value.line.startswith("--shape: 'ids=1,5:int46' has no element type 'int46' (did you mean 'int64'?")
    (net.parent / "net.py").unlink()
    told = refused(net, shapes=("image=1,1,12,12:int64",))
    assert "--shape: input is image [1, 1, 12, 12] float32, not int64" in told
