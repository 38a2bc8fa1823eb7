"""A file that teaches: what it answers in its own runtime is written down once, or asked for as examples come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.train import teachers
from edgebuild.sources.keras import KerasFile
from edgebuild.sources.onnx import Onnx
from edgebuild.sources.tflite import Tflite
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Input
from edgebuild.spec.errors import UsageError
from edgebuild.spec.reader import Reader
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.steps.import_file import ImportFile
from edgebuild.steps.teacher_answers import TeacherAnswers
from edgebuild.steps.techniques.distill import Distill
from tests import tiny

SIGNATURE = tiny.spec("tiny").declared.signature.bare


def answers(reader: Reader, file: Path, data: Path, output: Path, layout: str | None = None) -> Path:
    """What the step writes for a file."""
    step = TeacherAnswers(reader, file.name, SIGNATURE, layout)
    return tiny.perform(step, output, {"file": ("file", file.parent), "data": ("data", data)})


def distilled(made: tiny.Made, kind: str, teacher: Path, output: Path) -> dict[str, torch.Tensor]:
    """The weights of a student of this teacher."""
    inputs = {"model": ("torch", made["pruned"]), "teacher": (kind, teacher), "data": ("data", made["data"])}
    how = Distill(epochs=1, batch_size=64, learning_rate=0.02, alpha=0.0)
    return checkpoint.load(tiny.perform(how, output, inputs)).module.state_dict()


@pytest.mark.parametrize(
    ("reader", "kind", "layout"), [(Onnx("model.onnx"), "onnx", None), (Tflite("x"), "tflite", "nhwc")]
)
def test_what_is_written_is_what_the_file_answers(
    made: tiny.Made, tmp_path: Path, reader: Reader, kind: str, layout: str | None
) -> None:
    """TFLite's takes the channels last, where the model has them first."""
    written = dataset.outputs(answers(reader, made.file(kind), made["data"], tmp_path / "answers", layout))
    train = dataset.read(made["data"], "train")
    module = checkpoint.load(made["float"]).module
    with torch.no_grad():
        expected = module(torch.from_numpy(np.array(train.inputs[0]))).numpy()
    assert {*written} == {"train"}
    np.testing.assert_allclose(written["train"][0], expected, atol=1e-3)


def test_a_student_learns_the_same_of_a_module_of_its_answers_and_of_its_file(made: tiny.Made, tmp_path: Path) -> None:
    module = distilled(made, "torch", made["float"], tmp_path / "of-module")
    written = answers(Onnx("model.onnx"), made.file("onnx"), made["data"], tmp_path / "answers")
    for kind, teacher in (("answers", written), ("onnx", made["onnx"])):
        student = distilled(made, kind, teacher, tmp_path / f"of-{kind}")
        for name, values in module.items():
            torch.testing.assert_close(student[name], values, atol=1e-3, rtol=1e-2)


def test_several_teachers_of_any_kind_are_asked_together(made: tiny.Made, tmp_path: Path) -> None:
    written = answers(Onnx("model.onnx"), made.file("onnx"), made["data"], tmp_path / "answers")
    kinds = (("torch", made["float"]), ("answers", written), ("answers", written))
    taught = teachers.load(Input(kind, "0" * 64, path) for kind, path in kinds)
    data = taught.beside(dataset.read(made["data"], "train"), ("train",))
    assert (len(taught.modules), len(data.labels)) == (1, 3)
    np.testing.assert_array_equal(data.labels[1], data.labels[2])


def test_a_keras_file_teaches_and_is_asked_in_keras(made: tiny.Made, trained: Path, tmp_path: Path) -> None:
    """It was trained on like pictures, and takes them with the channels last."""
    folder = answers(KerasFile(), trained, made["data"], tmp_path / "answers", "nhwc")
    (written,) = dataset.outputs(folder)["train"]
    labels = dataset.read(made["data"], "train").labels[0]
    assert (written.argmax(1) == labels).mean() > 0.9
    np.testing.assert_allclose(written.sum(1), 1, atol=1e-5)
    student = distilled(made, "answers", folder, tmp_path / "student")
    assert not torch.equal(student["head.weight"], checkpoint.load(made["pruned"]).module.state_dict()["head.weight"])


def test_other_outputs_than_the_models_are_refused_with_both(made: tiny.Made, tmp_path: Path) -> None:
    file = made.file("onnx")
    wrong = Signature(SIGNATURE.inputs, (TensorSpec("output", (5,)),))
    step = TeacherAnswers(Onnx(file.name), file.name, wrong, shown="models/m/teacher.onnx")
    with pytest.raises(UsageError, match=r"models/m/teacher.onnx: the teacher answers \[\[1, 4\]\] .* \[\[1, 5\]\]"):
        tiny.perform(step, tmp_path / "out", {"file": ("file", file.parent), "data": ("data", made["data"])})


def test_an_imported_file_with_its_channels_elsewhere_is_asked_as_it_takes_them(
    made: tiny.Made, tmp_path: Path
) -> None:
    """As where an augmentation changes what it is asked about."""
    turned = Signature((TensorSpec("image", (12, 12, 1)),), SIGNATURE.outputs)
    step = ImportFile(Tflite("model.tflite"), "model.tflite", turned)
    folder = tiny.perform(step, tmp_path / "file", {"file": ("file", made["tflite"])})
    (asked,) = teachers.load([Input("tflite", "0" * 64, folder)]).modules
    values = torch.from_numpy(dataset.read(made["data"], "train").inputs[0][:5])
    with torch.no_grad():
        expected = checkpoint.load(made["float"]).module(values)
    torch.testing.assert_close(asked(values)[0], expected, atol=1e-3, rtol=1e-3)
