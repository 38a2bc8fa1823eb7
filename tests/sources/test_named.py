"""Networks that a package builds by name: from local weights, through the whole pipeline, and nothing is downloaded."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from edgebuild.nn import checkpoint
from edgebuild.nn.network import Network
from edgebuild.nn.offline import offline
from edgebuild.plan.planner import Plan
from edgebuild.sources import package
from edgebuild.spec import notes
from edgebuild.spec.artifact import options
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.spec.source import SOURCES
from edgebuild.steps.import_weights import ImportWeights
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.steps.train import Train
from edgebuild.steps.untrained import Untrained
from tests import tiny

DECLARED = (tiny.MODELS / "tiny" / "model.toml").read_text().replace('builder = "build"\n', "")
SMALL = Network("timm", "test_efficientnet", {"num_classes": 4, "in_chans": 1})
ENDS = Signature((TensorSpec("image", (1, 12, 12)),), (TensorSpec("output", (4,)),))
BERT: dict[str, Any] = {"n_layers": 1, "dim": 16, "n_heads": 2, "hidden_dim": 32, "vocab_size": 50, "num_labels": 3}


def named(*lines: str, use: str = "timm") -> dict[str, str]:
    return {"model.toml": "\n".join((DECLARED, "[source]", f'use = "{use}"', *lines, ""))}


def replaced(files: dict[str, str]) -> dict[str, str]:
    """Without labels: answers are held against the network's own."""
    told = re.sub(r"(?m)^labels = .*$", 'task = "agreement"\noutputs = 4', files["model.toml"])
    return files | {"model.toml": re.sub(r"(?ms)^\[training\]\n.*?(?=^\[)", "", told)}


WEIGHTS = ('name = "test_efficientnet"', 'weights = "w.pth"', "options = {num_classes = 4, in_chans = 1}")


def test_weights_are_read_from_the_project_without_any_code_of_it(plan: Callable[..., Plan]) -> None:
    graph = plan(files=named(*WEIGHTS) | {"w.pth": "tensors"}).graph
    (node,) = [node for node in graph.nodes.values() if isinstance(node.step, ImportWeights)]
    assert node.step.builder == SMALL
    assert {*node.inputs} == {"weights"}
    assert {"timm", "torchvision"} <= {*node.tools}
    assert "edgebuild.sources.timm" in node.code
    other = plan(files=named(*WEIGHTS[:2], "options = {num_classes = 5, in_chans = 1}") | {"w.pth": "tensors"}).graph
    (changed,) = [node.step for node in other.nodes.values() if isinstance(node.step, ImportWeights)]
    assert options(changed)["builder"].options["num_classes"] == 5


def test_random_weights_are_asked_for_in_so_many_words(plan: Callable[..., Plan], refusal: Callable[..., str]) -> None:
    asked = plan(files=named(WEIGHTS[0], 'weights = "random"', WEIGHTS[2])).graph
    assert [node.step.builder for node in asked.nodes.values() if isinstance(node.step, Train)] == [SMALL]
    kept = replaced(named(WEIGHTS[0], 'weights = "random"', WEIGHTS[2]))
    agreement = '[{metric = "agreement", limit = "0.1"}]'
    steps = [type(node.step) for node in plan(files=kept, gates=agreement).graph.nodes.values()]
    assert Untrained in steps  # nobody knows a right answer that could be learnt
    assert Train not in steps
    assert "source.weights: is missing" in refusal(files=named(WEIGHTS[0], WEIGHTS[2]))
    assert "source.weights: no such file: 'w.pth'" in refusal(files=named(*WEIGHTS))


def test_a_network_is_saved_by_its_name_and_pruned_like_any_other(tmp_path: Path) -> None:
    """With weights under a wrapper's prefix; no code is in the artifact, and versions are."""
    (tmp_path / "weights").mkdir()
    module = SMALL.module()
    save_file({f"module.{name}": tensor for name, tensor in module.state_dict().items()}, tmp_path / "weights" / "w")
    step = ImportWeights(SMALL, ENDS, origin="models/m", shown="models/m/w")
    read = tiny.perform(step, tmp_path / "read", {"weights": ("", tmp_path / "weights")})
    described = json.loads((read / checkpoint.DESCRIPTION).read_text())["builder"]
    assert (described["use"], described["name"], described["options"]) == ("timm", "test_efficientnet", SMALL.options)
    assert {"timm", "torchvision", "edgebuild.sources.timm"} <= {*described["versions"]}
    assert not (read / "code").exists()
    assert notes.read(read) == ["models/m/w: the prefix 'module.' of all names is left out"]
    x = torch.randn(2, 1, 12, 12)
    assert torch.equal(checkpoint.load(read).module(x), module.eval()(x))
    pruned = tiny.perform(PruneChannels(ratio=0.5, round_to=8), tmp_path / "pruned", {"model": ("torch", read)})
    smaller = checkpoint.load(pruned)
    assert smaller.builder == SMALL
    assert smaller.module(x).shape == (2, 4)
    kept = sum(parameter.numel() for parameter in smaller.module.parameters())
    assert kept < 0.7 * sum(parameter.numel() for parameter in module.parameters())


def test_training_from_random_weights_says_so(made: tiny.Made, tmp_path: Path) -> None:
    step = Train(SMALL, ENDS, Training(epochs=1))
    assert step.uses() == ("data",)
    trained = tiny.perform(step, tmp_path / "trained", {"data": ("data", made["data"])})
    (told,) = notes.read(trained)
    assert told.startswith("timm 'test_efficientnet' began with random weights (seed 0), as asked")


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (Network("torchvision", "shufflenet_v2_x0_5", {"num_classes": 3}), (3, 32, 32)),
        (Network("torchvision", "lraspp_mobilenet_v3_large"), None),  # its backbone's weights would be fetched
        (Network("timm", "test_vit", {"num_classes": 3, "img_size": 32}), (3, 32, 32)),
    ],
)
def test_torchvision_is_imported_beside_any_torch(network: Network, shape: tuple[int, ...] | None) -> None:
    module = network.module().eval()
    if shape:
        assert module(torch.zeros(1, *shape)).shape == (1, 3)


def test_code_of_a_project_may_import_torchvision_beside_any_torch(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import torchvision\n\n\ndef build():\n    return torchvision.__name__\n")
    code = "import sys, pathlib; from edgebuild.nn.model_code import ModelCode as M; "
    code += "print(M(pathlib.Path(sys.argv[1]), 'models/m').function('build', 'builder')())"
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "torchvision"


def test_transformers_take_fields_of_their_configuration_or_its_file(tmp_path: Path) -> None:
    """With a tuple as answer, and the file's fields in the place of what nobody names."""
    transformers = SOURCES.get("transformers")
    whole = {**BERT, "torch_dtype": "float16", "return_dict": True}
    module = transformers.network("DistilBertForSequenceClassification", {"num_labels": 2, "config": whole}).eval()
    words = torch.ones(2, 8, dtype=torch.int64)
    (answer,) = module(words, torch.ones_like(words))
    assert (answer.shape, answer.dtype) == ((2, 2), torch.float32)
    same = transformers.network("DistilBertForSequenceClassification", BERT)
    same.load_state_dict(transformers.network("DistilBertForSequenceClassification", BERT).state_dict())


def test_a_configuration_of_transformers_is_part_of_the_model(plan: Callable[..., Plan]) -> None:
    lines = ('name = "DistilBertForSequenceClassification"', 'weights = "w.pth"', 'config = "c.json"')
    files = named(*lines, use="transformers") | {"w.pth": "tensors", "c.json": json.dumps(BERT | {"auto_map": {}})}
    steps = [node.step for node in plan(files=files).graph.nodes.values()]
    (read,) = [step for step in steps if isinstance(step, ImportWeights)]
    assert isinstance(read.builder, Network)
    assert read.builder.options == {"config": BERT}


def test_a_class_of_any_installed_package_is_a_network_of_its_version(
    plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no distribution has, or one that changes without its version, is told to be written in model.py."""
    lines = (
        *('name = "torch.nn:Linear"', 'weights = "w.pth"'),
        'options = {in_features = 144, out_features = 4, device = "None"}',
    )
    graph = plan(files=named(*lines, use="package") | {"w.pth": "tensors"}).graph
    (node,) = [node for node in graph.nodes.values() if isinstance(node.step, ImportWeights)]
    assert isinstance(node.step.builder, Network)
    assert node.step.builder.module()(torch.zeros(1, 144)).shape == (1, 4)
    assert {*node.step.builder.versions()} == {"torch", "safetensors", "edgebuild.sources.package"}

    (tmp_path / "ownnet").mkdir()
    (tmp_path / "ownnet" / "__init__.py").write_text("from torch.nn import Linear\n")
    monkeypatch.syspath_prepend(tmp_path)
    own, forget = Network("package", "ownnet:Linear", {"in_features": 3, "out_features": 2}), package._by_package
    forget.cache_clear()
    with pytest.raises(
        UsageError, match=r"name: no distribution with 'ownnet' is installed \(pip install it, or write a"
    ):
        own.versions()
    about = tmp_path / "own_net-2.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-net\nVersion: 2.5\n")
    (about / "top_level.txt").write_text("ownnet\n")
    forget.cache_clear()
    assert own.versions()["own-net"] == "2.5"
    assert own.module()(torch.zeros(1, 3)).shape == (1, 2)
    (about / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    with pytest.raises(UsageError, match="own-net is installed as editable: its code may change without its version"):
        own.versions()
    forget.cache_clear()


def test_a_list_is_a_tuple_to_what_takes_tuples_alone() -> None:
    module = Network("package", "torch.nn:Unflatten", {"dim": 1, "unflattened_size": [2, 3]}).module()
    assert module(torch.zeros(1, 6)).shape == (1, 2, 3)


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (
            Network("timm", "test_efficientnt"),
            "name: timm has no network 'test_efficientnt' (did you mean 'test_efficientnet'",
        ),
        (Network("timm", "hf-hub:timm/test_efficientnet"), "name: timm has no network 'hf-hub:timm/test_efficientnet'"),
        (
            Network("timm", "test_efficientnet", {"pretrained": True}),
            "options.pretrained: is about weights that the package would read or download (name the file of the",
        ),
        (
            Network("timm", "test_efficientnet", {"num_clases": 3}),
            "timm 'test_efficientnet' cannot be built: TypeError: EfficientNet.__init__() got an unexpected keyword",
        ),
        (
            Network("torchvision", "resnet18", {"weights": "DEFAULT"}),
            "options.weights: is about weights that the package would read or download",
        ),
        (Network("torchvision", "resnet19"), "name: torchvision has no network 'resnet19' (did you mean 'resnet1"),
        (Network("transformers", "BertModl"), "name: transformers has no network 'BertModl' (did you mean 'BertModel'"),
        (Network("transformers", "PreTrainedModel"), "name: transformers has no network 'PreTrainedModel'"),
        (Network("transformers", "BertModel", {"hiden_size": 3}), "options: unknown key 'hiden_size' (did you mean 'h"),
        (Network("package", "torch.nn"), "name: 'torch.nn' is not MODULE:CLASS, such as torchcrepe:Crepe"),
        (Network("package", "torhc.nn:Linear"), "name: cannot be imported: there is no module 'torhc' (pip install wh"),
        (
            Network("package", "torch.nn:Liner"),
            "name: torch.nn has no class or function 'Liner' (did you mean 'Linear'",
        ),
        (Network("package", "torch:Size"), "name: torch:Size makes a Size, not a torch.nn.Module"),
        (
            Network("package", "torch.nn:Linear", {"in_features": 4}),
            "package 'torch.nn:Linear' cannot be built: TypeError: Linear.__init__() missing 1 required positional arg",
        ),
    ],
)
def test_what_a_package_does_not_build_is_refused(network: Network, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        network.module()
    assert caught.value.line.startswith(told)


def test_whatever_asks_another_machine_is_refused_with_its_name() -> None:
    """Though its error is caught by who tried, as libraries do; a socket of this machine's own is nobody else."""
    told = "something of it would be downloaded from example.invalid, and nothing is (weights are files of the project"
    with pytest.raises(UsageError) as caught, offline("something of it"):
        urllib.request.urlopen("http://example.invalid/w.pth")
    assert caught.value.line.startswith(told)
    with pytest.raises(UsageError) as caught, offline("something of it"), suppress(OSError):
        socket.create_connection(("example.invalid", 443))
    assert caught.value.line.startswith(told)
    with offline("something of it"):
        one, other = socket.socketpair()
        one.close()
        other.close()


def test_what_torchvision_lacks_is_stood_in_for_once_whoever_asks_first():
    code = (
        "from edgebuild.nn import compiled_torchvision as lacking\n"
        "lacking.stand_in_when_imported()\nlacking.stand_in()\nimport torchvision"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
