"""A bundle of two files, the features of a picture and what is made of them: together they are the whole."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from edgebuild.bundle import manifest
from edgebuild.bundle.assemble import Assemble
from edgebuild.bundle.facts import Routed
from edgebuild.cli import verify as verify_verb
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Input, StepIO
from edgebuild.spec.assembly import Assembly, End, Part, Route
from edgebuild.spec.errors import IntegrityError
from edgebuild.spec.evidence import Footprint, Latencies
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.spec.target import Gate, Runtime
from edgebuild.steps.evidence.judge import Judge
from tests import measured, tiny
from tests.bundle.test_assemble import PROVENANCE, execute, subject
from tests.steps.evidence import folders

IMAGE, FEATURES, SCORES = TensorSpec("image", (1, 12, 12)), TensorSpec("features", (16,)), TensorSpec("output", (4,))
WHOLE = Signature((IMAGE,), (SCORES,))
BODY = Part("body", "body.onnx", Runtime("onnx", threads=2), Signature((IMAGE,), (FEATURES,)))
HEAD = Part("head", "head.onnx", Runtime("onnx"), Signature((replace(FEATURES, name="taken"),), (SCORES,)))
ROUTES = (
    Route(End("head", "output"), End(None, "output")),
    Route(End("body", "features"), End("head", "taken")),
    Route(End(None, "image"), End("body", "image")),
)
# Not in the order in which they must run.
ASSEMBLY = Assembly((HEAD, BODY), ROUTES, WHOLE)


def layer(folder: Path, rows: int, columns: int, shape: list[int]) -> Path:
    """An .onnx file: flatten, then a product with random weights, then tanh."""
    weights = np.random.default_rng(rows).normal(0, 0.3, (rows, columns)).astype("float32")
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "w"], ["product"]),
            helper.make_node("Tanh", ["product"], ["y"]),
        ],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, columns])],
        [numpy_helper.from_array(weights, "w")],
    )
    folder.mkdir()
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx"
    )
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("parts")
    return {"body": layer(root / "body", 144, 16, [1, 1, 12, 12]), "head": layer(root / "head", 16, 4, [1, 16])}


@pytest.fixture(scope="module")
def shipped(made: tiny.Made, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle; tests must not change it."""
    root = tmp_path_factory.mktemp("assembled")
    sizes = Footprint(measured.weight(1000), measured.weight(4000))
    weighed = {"footprint/onnx": folders.evidence(root / "f", sizes)}
    weighed |= {"latency": folders.evidence(root / "l", Latencies({"onnx": measured.estimated(0.1)}))}
    verdicts = tiny.perform(Judge((Gate("size", "-50 %"),), ("onnx",)), root / "verdicts", weighed)
    inputs = {"data": ("data", made["data"]), "verdicts": ("verdicts", verdicts)}
    inputs |= {"evidence/footprint-onnx": weighed["footprint/onnx"]}
    inputs |= {f"candidate/onnx/{name}": ("onnx", folder) for name, folder in files.items()}
    out = root / "out"
    out.mkdir()
    given = {role: Input(kind, "0" * 64, path) for role, (kind, path) in inputs.items()}
    Assemble(subject(made), (ASSEMBLY,), {"onnx": ("onnxruntime",)}).run(StepIO(given, out, out, provenance=PROVENANCE))
    return out / "bundle"


def by_hand(files: dict[str, Path], image: np.ndarray) -> np.ndarray:
    for name in ("body", "head"):
        session = onnxruntime.InferenceSession(str(files[name] / "model.onnx"), providers=["CPUExecutionProvider"])
        (image,) = session.run(None, {"x": image})
    return image


def test_its_runner_gives_the_answers_of_the_whole(made: tiny.Made, files: dict[str, Path], shipped: Path) -> None:
    test = dataset.read(made["data"], "test").inputs[0]
    for number in (3, 40, 77):  # the first is the sample
        path = shipped.parent / f"{number}.npy"
        np.save(path, test[number : number + 1])
        scores = by_hand(files, np.array(test[number : number + 1]))[0].astype(np.float64)
        shares = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        label = tiny.spec("tiny").declared.labels[int(scores.argmax())]
        assert execute(shipped, str(path)) == f"{number}.npy: {label} ({100 * shares.max():.1f} %)\n"
    assert execute(shipped, str(shipped / "sample.npy")).endswith(execute(shipped, str(shipped.parent / "3.npy"))[5:])


def test_the_manifest_lists_the_parts_in_order_and_what_joins_them(shipped: Path) -> None:
    facts = manifest.verify_bundle(shipped)
    assert [(part.name, part.file, part.runtime.threads) for part in facts.parts] == [
        ("body", "body.onnx", 2),
        ("head", "head.onnx", 1),
    ]
    assert Routed(("body", "features"), ("head", "taken")) in facts.routing
    assert [port.name for port in facts.inputs] == ["image"]
    assert json.loads((shipped / "manifest.json").read_text())["format"] == "onnx"


def test_every_part_is_verified(shipped: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(verify_verb.command, [str(shipped)]).exit_code == 0
    for name in ("body.onnx", "head.onnx"):
        bundle = shutil.copytree(shipped, tmp_path / name)
        (bundle / name).write_bytes((bundle / name).read_bytes()[:-1])
        with pytest.raises(IntegrityError, match=f"{name}: is not the file that was built"):
            manifest.verify(bundle)


def route(source: End, target: End) -> tuple[Route, ...]:
    """The routes with this in the place of what led to the target."""
    return (*(each for each in ROUTES if each.target != target), Route(source, target))


WIDE = replace(HEAD, signature=Signature((TensorSpec("taken", (32,)),), (SCORES,)))
WHOLE_NUMBERS = replace(HEAD, signature=Signature((TensorSpec("taken", (16,), "int32"),), (SCORES,)))


@pytest.mark.parametrize(
    ("parts", "routing", "told"),
    [
        ((BODY, WIDE), ROUTES, r"body.features \[16\] float32 cannot go into head.taken \[32\] float32"),
        ((BODY, WHOLE_NUMBERS), ROUTES, r"body.features \[16\] float32 cannot go into head.taken \[16\] int32"),
        ((BODY, HEAD), ROUTES[:1] + ROUTES[2:], "nothing goes into head.taken"),
        ((BODY, HEAD), route(End("body", "feats"), End("head", "taken")), "nothing comes out of body.feats"),
        ((BODY, HEAD), (*ROUTES, Route(End("body", "features"), End("tail", "x"))), "nothing goes into tail.x"),
        ((BODY, HEAD), (*ROUTES, ROUTES[1]), "two things go into head.taken"),
        ((BODY, BODY), ROUTES, "parts must have different names, not body, body"),
        ((BODY, replace(HEAD, file="body.onnx")), ROUTES, "files must have different names, not body.onnx, body.onnx"),
        ((), ROUTES, "parts must have different names, not none"),
    ],
)
def test_a_wrong_routing_is_refused_in_one_line(parts: tuple[Part, ...], routing: tuple[Route, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        Assembly(parts, routing, WHOLE)
    assert "\n" not in str(caught.value)


def test_an_input_of_the_whole_that_goes_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="input spare of the whole goes nowhere"):
        Assembly((BODY, HEAD), ROUTES, Signature((IMAGE, TensorSpec("spare", (1,))), (SCORES,)))


def test_parts_that_wait_for_each_other_are_refused() -> None:
    first = replace(BODY, signature=Signature((IMAGE, replace(SCORES, name="back")), (FEATURES,)))
    with pytest.raises(ValueError, match=r"parts wait for each other: (body|head) → (body|head)"):
        Assembly((first, HEAD), (*ROUTES, Route(End("head", "output"), End("body", "back"))), WHOLE)
