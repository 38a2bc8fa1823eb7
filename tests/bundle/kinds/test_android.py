"""The Android package has Google's layout of an AI pack, and Kotlin and metadata that say what the bundle says."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from edgebuild.bundle import golden, manifest
from edgebuild.bundle.facts import BundleManifest
from edgebuild.spec.preprocess import ImageInput
from edgebuild.spec.target import Soc
from tests.bundle.kinds.conftest import Package, contents, run

CONFIG = "{http://schemas.android.com/apk/config}"
ASSETS = "tiny_board/src/main/assets"


def changed(bundle: Path, folder: Path, change: Callable[[BundleManifest], BundleManifest]) -> Path:
    """A copy of a bundle of which the manifest says something else."""
    copy = shutil.copytree(bundle, folder)
    manifest.seal(copy, change(manifest.read_bundle(copy)))
    return copy


@pytest.fixture(scope="module")
def modules(lite: Path, package: Package) -> Path:
    """The package of a bundle whose target says nothing of its devices."""
    return package(lite, "android", "--release", "1.2")


@pytest.fixture(scope="module")
def targeted(lite: Path, package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a bundle for devices of 6 GiB with one of two chips."""
    socs = (Soc("QTI", "SM8550"), Soc("Google", "Tensor G3"))

    def devices(facts: BundleManifest) -> BundleManifest:
        return replace(facts, subject=replace(facts.subject, ram=6 << 30, socs=socs))

    return package(changed(lite, tmp_path_factory.mktemp("targeted") / "bundle", devices), "android")


def test_it_has_the_layout_of_an_ai_pack(modules: Path) -> None:
    """As developer.android.com/google/play/on-device-ai has it: the pack's folder has its name, a letter first."""
    gradle = (modules / "tiny_board" / "build.gradle.kts").read_text()
    assert re.search(r'plugins \{\s*id\("com.android.ai-pack"\)\s*\}', gradle)
    inside = r'aiPack \{\s*packName = "tiny_board"\s*dynamicDelivery \{\s*deliveryType = "install-time"\s*\}\s*\}'
    assert re.search(inside, gradle)
    assert {path.name for path in (modules / ASSETS / "tiny_board").iterdir()} == {
        "model.tflite", "preprocess.json", "signature.json",
    }  # fmt: skip
    settings = (modules / "settings.gradle.kts").read_text()
    assert 'include(":tiny_board")\ninclude(":tiny_board_kotlin")' in settings
    assert not (modules / "device_targeting_config.xml").exists()


def test_only_the_targets_devices_are_given_the_model(targeted: Path) -> None:
    root = ElementTree.parse(targeted / "device_targeting_config.xml").getroot()
    (group,) = root.findall(f"{CONFIG}device-group")
    (selector,) = group.findall(f"{CONFIG}device-selector")
    assert (root.tag, group.get("name")) == (f"{CONFIG}device-targeting-config", "board")
    assert selector.attrib == {"ram-min-bytes": "6000000000"}  # as Google writes 8000000000 for 8 GB
    chips = [chip.attrib for chip in selector.findall(f"{CONFIG}system-on-chip")]
    assert chips == [{"manufacturer": "QTI", "model": "SM8550"}, {"manufacturer": "Google", "model": "Tensor G3"}]
    assert [path.name for path in (targeted / ASSETS).iterdir()] == ["tiny_board#group_board"]
    assert 'Model.open(context, "tiny_board#group_board")' in (kotlin(targeted)["GoldenTest.kt"])
    assert 'const val FOLDER = "tiny_board"' in kotlin(targeted)["Model.kt"]  # Play strips the group
    properties = (targeted / "gradle.properties").read_text()
    assert "android.experimental.enableDeviceTargetingConfigApi=true" in properties


def kotlin(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*.kt")}


def test_kotlin_is_that_of_this_model_and_parses(modules: Path) -> None:
    parser = pytest.importorskip("tree_sitter")
    language = parser.Language(pytest.importorskip("tree_sitter_kotlin").language())
    files = {path: path.read_bytes() for path in (*modules.rglob("*.kt"), *modules.rglob("*.kts"))}
    assert {path.name for path in files} == {
        "Model.kt", "Port.kt", "prepare_image.kt", "GoldenTest.kt", "build.gradle.kts", "settings.gradle.kts",
    }  # fmt: skip
    for path, source in files.items():
        root = parser.Parser(language).parse(source).root_node
        assert not root.has_error, (path, root.sexp() if hasattr(root, "sexp") else root)


def test_nothing_of_a_template_is_left(modules: Path) -> None:
    for path, content in contents(modules).items():
        if path.endswith((".kt", ".kts", ".md", ".xml", ".properties")):
            assert not re.search(rb"@[A-Z]+@", content), path
    assert '"com.google.ai.edge.litert:litert:' in (modules / "tiny_board_kotlin" / "build.gradle.kts").read_text()


def interpreter(model: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    opened = Interpreter(model_content=model)
    opened.allocate_tensors()
    return opened


def answers(model: bytes, raw: Any) -> Any:
    opened = interpreter(model)
    opened.set_tensor(opened.get_input_details()[0]["index"], raw)
    opened.invoke()
    return opened.get_tensor(opened.get_output_details()[0]["index"])


def shipped(folder: Path) -> bytes:
    (model,) = folder.glob(f"{ASSETS}/*/model.tflite")
    return model.read_bytes()


def test_a_model_with_its_metadata_computes_what_was_judged(lite: Path, modules: Path) -> None:
    judged, model = (lite / "model.tflite").read_bytes(), shipped(modules)
    detail = interpreter(judged).get_input_details()[0]
    raw = np.random.default_rng(0).integers(-128, 128, detail["shape"]).astype(detail["dtype"])
    assert np.array_equal(answers(model, raw), answers(judged, raw))
    with zipfile.ZipFile(io.BytesIO(model)) as files:  # as its readers find what metadata names
        assert {*files.namelist()} == {"labels_output.txt", "preprocess.json"}
        assert files.read("preprocess.json") == (lite / "preprocess.json").read_bytes()
        assert files.read("labels_output.txt").decode().splitlines()[0] == "top left"


def test_metadata_says_how_pixels_become_values(modules: Path) -> None:
    """Normalisation and labels, read field by field by the numbers of metadata_schema.fbs."""
    said = Metadata.of(shipped(modules))
    assert said.text(0) == "tiny-board"
    (graph,) = said.tables(3)
    (image,), (output,) = graph.tables(2), graph.tables(3)
    (unit,) = image.tables(4)
    options = unit.table(1)
    assert (unit.byte(0), options.floats(0), options.floats(1)) == (1, [127.5], [127.5])  # of (pixel/255 - 0.5) / 0.5
    content = image.table(3)
    assert (content.byte(0), content.table(1).byte(0)) == (2, 2)  # ImageProperties, GRAYSCALE
    assert image.texts(2) == ["batch", "height", "width", "channels"]
    (labels,) = output.tables(6)
    assert (labels.text(0), labels.byte(2)) == ("labels_output.txt", 2)  # TENSOR_AXIS_LABELS


class Metadata:
    """A table of a flatbuffer whose fields are asked for by number."""

    def __init__(self, table: Any) -> None:
        self._table = table

    @classmethod
    def of(cls, model: bytes) -> Metadata:
        from ai_edge_litert.tools import flatbuffer_utils
        from flatbuffers import encode, number_types, table

        parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
        (entry,) = [each for each in parsed.metadata if each.name == b"TFLITE_METADATA"]
        data = bytearray(bytes(parsed.buffers[entry.buffer].data))
        assert data[4:8] == b"M001"
        return cls(table.Table(data, encode.Get(number_types.UOffsetTFlags.packer_type, data, 0)))

    def _at(self, field: int) -> int:
        return int(self._table.Offset(4 + 2 * field))

    def text(self, field: int) -> str:
        return bytes(self._table.String(self._table.Pos + self._at(field))).decode()

    def byte(self, field: int) -> int:
        from flatbuffers import number_types

        return int(self._table.Get(number_types.Int8Flags, self._table.Pos + self._at(field)))

    def table(self, field: int) -> Metadata:
        from flatbuffers import table

        return Metadata(table.Table(self._table.Bytes, self._table.Indirect(self._table.Pos + self._at(field))))

    def _places(self, field: int) -> list[int]:
        start = self._table.Vector(self._at(field))
        return [start + 4 * number for number in range(self._table.VectorLen(self._at(field)))]

    def tables(self, field: int) -> list[Metadata]:
        from flatbuffers import table

        places = self._places(field)
        return [Metadata(table.Table(self._table.Bytes, self._table.Indirect(place))) for place in places]

    def texts(self, field: int) -> list[str]:
        return [bytes(self._table.String(place)).decode() for place in self._places(field)]

    def floats(self, field: int) -> list[float]:
        from flatbuffers import number_types

        return [float(self._table.Get(number_types.Float32Flags, place)) for place in self._places(field)]


def test_the_standard_reader_reads_the_metadata(modules: Path) -> None:
    # tflite-support: 60 MB, and of an older protobuf than ours, which this part of it does without.
    reader = pytest.importorskip("tensorflow_lite_support.metadata.python.metadata", exc_type=ImportError)
    shown = reader.MetadataDisplayer.with_model_buffer(bytearray(shipped(modules)))
    said = json.loads(shown.get_metadata_json())
    (graph,) = said["subgraph_metadata"]
    (image,), (output,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
    assert image["process_units"][0]["options"] == {"mean": [127.5], "std": [127.5]}
    assert output["associated_files"][0]["type"] == "TENSOR_AXIS_LABELS"
    assert {*shown.get_packed_associated_file_list()} == {"labels_output.txt", "preprocess.json"}


@pytest.mark.parametrize("invert", [False, True])
def test_normalisation_in_pixels_is_that_of_the_declaration(invert: bool) -> None:
    how = ImageInput(channels=3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), invert=invert)
    pixel = np.array([0.0, 100.0, 255.0])
    declared = ((255 - pixel if invert else pixel) / 255 - np.array(how.mean)) / np.array(how.std)
    assert np.allclose((pixel - np.array(how.pixels.mean)) / np.array(how.pixels.std), declared)


def test_golden_inputs_go_along(lite: Path, modules: Path) -> None:
    facts = manifest.verify_bundle(lite)
    assert facts.golden is not None
    place = modules / "tiny_board_kotlin/src/androidTest/assets/golden"
    said = json.loads((place / "golden.json").read_text())
    assert said == {"examples": facts.golden.examples, "tolerance": [*facts.golden.tolerance]}
    (inputs,), (outputs,) = golden.read(lite, facts.golden)
    assert np.array_equal(np.fromfile(place / "input_0.f32", "<f4"), inputs.reshape(-1))
    assert np.array_equal(np.fromfile(place / "output_0.f32", "<f4"), outputs.reshape(-1))
    signature = json.loads((modules / ASSETS / "tiny_board" / "signature.json").read_text())
    (port,) = signature["inputs"]
    assert (port["name"], port["dtype"], port["shape"], port["layout"]) == ("image", "int8", [1, 1, 12, 12], "nhwc")
    assert port["scale"] > 0


def test_what_is_no_tflite_file_is_refused_with_what_to_do(onnx: Path, tmp_path: Path) -> None:
    code, told = run(onnx, "--as", "android", "--out", tmp_path / "out")
    assert (code, told.count("\n")) == (2, 1)
    assert "is of onnx, and 'android' packages one tflite file" in told
    assert "build it for a target that has a runtime of the format tflite alone" in told
