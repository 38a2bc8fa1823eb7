"""Bundles whose model travels coded: what they carry, that they run, and that nothing but the true file is ever run."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from edgebuild.bundle import manifest
from edgebuild.bundle.facts import Coded
from edgebuild.spec.errors import IntegrityError
from tests import runtimes, tiny
from tests.bundle.test_assemble import assemble, execute


@pytest.fixture(scope="module", params=runtimes.formats())
def shipped(request: pytest.FixtureRequest, made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a coded file; tests must not change it."""
    return assemble(made, tmp_path_factory.mktemp("coded"), request.param, technique="-encoded") / "bundle"


@pytest.fixture
def bundle(shipped: Path, tmp_path: Path) -> Path:
    """A copy that may be used and damaged."""
    return shutil.copytree(shipped, tmp_path / "bundle")


def test_it_carries_the_download_and_its_decoder_and_both_digests(made: tiny.Made, bundle: Path) -> None:
    facts = manifest.verify_bundle(bundle)
    (part,) = facts.parts
    file, coded = part.file, part.coded
    whole = made.file(file.rpartition(".")[2]).read_bytes()
    assert not (bundle / file).exists()
    assert coded == Coded(f"{file}.edz", "decode.py", hashlib.sha256(whole).hexdigest(), len(whole))
    assert {coded.file, "decode.py"} <= facts.files.keys()
    assert facts.files[coded.file].bytes < len(whole)
    assert manifest.model(bundle, part) == whole


def test_first_use_decodes_and_the_bundle_still_verifies(made: tiny.Made, bundle: Path) -> None:
    file = manifest.read(bundle).parts[0].file
    plain = assemble(made, bundle.parent / "plain", file.rpartition(".")[2]) / "bundle"
    expected = execute(plain, str(plain / "sample.npy"))
    assert execute(bundle, str(bundle / "sample.npy")) == expected
    assert (bundle / file).read_bytes() == (plain / file).read_bytes()
    manifest.verify(bundle)
    before = (bundle / file).stat().st_mtime_ns
    assert execute(bundle, str(bundle / "sample.npy")) == expected
    assert (bundle / file).stat().st_mtime_ns == before
    assert not list(bundle.glob("*.part"))


def test_a_wrong_file_in_its_place_is_replaced_on_use_and_refused_by_verify(bundle: Path) -> None:
    file = bundle / manifest.read(bundle).parts[0].file
    file.write_bytes(b"of an older release")
    with pytest.raises(IntegrityError, match="digest differs"):
        manifest.verify(bundle)
    execute(bundle, str(bundle / "sample.npy"))
    manifest.verify(bundle)


def test_where_nothing_can_be_written_it_is_decoded_in_memory(bundle: Path) -> None:
    """A folder in the file's place cannot be replaced, not even by root."""
    expected = execute(bundle, str(bundle / "sample.npy"))
    file = bundle / manifest.read(bundle).parts[0].file
    file.unlink()
    (file / "full").mkdir(parents=True)
    assert execute(bundle, str(bundle / "sample.npy")) == expected


def test_a_damaged_download_is_one_line_and_leaves_no_model(bundle: Path) -> None:
    (part,) = manifest.read(bundle).parts
    assert part.coded is not None
    place = bundle / part.coded.file
    whole = place.read_bytes()
    for damaged in (whole[:-5], whole[:50] + bytes([whole[50] ^ 4]) + whole[51:], b""):
        place.write_bytes(damaged)
        assert execute(bundle, str(bundle / "sample.npy"), expect=1).count("\n") == 1
        assert not (bundle / part.file).exists()
        with pytest.raises(IntegrityError):
            manifest.verify(bundle)
        with pytest.raises(IntegrityError, match="cannot be decoded"):
            manifest.model(bundle, part)


def test_a_download_of_another_file_is_refused(made: tiny.Made, bundle: Path) -> None:
    """Sealed again by whom it may concern: the manifest names the digest of the model file."""
    facts = manifest.read(bundle)
    (part,) = facts.parts
    assert part.coded is not None
    other = {"model.onnx": "tflite", "model.tflite": "onnx"}[part.file]
    shutil.copyfile(made[f"{other}-encoded"] / f"model.{other}.edz", bundle / part.coded.file)
    manifest.seal(bundle, facts)
    with pytest.raises(IntegrityError, match=r"cannot be decoded|does not give"):
        manifest.verify(bundle)
