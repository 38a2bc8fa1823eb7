"""A bundle proves itself: any byte changed, any file added or lost, and it is refused."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from edgebuild.bundle import manifest
from edgebuild.spec.errors import IntegrityError, UsageError
from tests.scenarios.conftest import Workspace


@pytest.fixture
def bundle(built: Workspace, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(built.bundle, tmp_path / "bundle")


def test_an_untouched_bundle_is_accepted(built: Workspace) -> None:
    ran = built.run("verify", str(built.bundle), "--json")
    assert ran.code == 0
    assert ran.document["status"] == "released"


def test_every_flipped_byte_is_refused(bundle: Path) -> None:
    rng = random.Random(0)
    files = [path for path in sorted(bundle.rglob("*")) if path.is_file()]
    for flip in range(1000):
        path = files[flip % len(files)]
        whole = path.read_bytes()
        at = rng.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
        with pytest.raises(IntegrityError):
            manifest.verify(bundle)
        path.write_bytes(whole)
    manifest.verify(bundle)


def test_added_lost_linked_and_truncated_files_are_refused(bundle: Path, tmp_path: Path) -> None:
    def refused(word: str) -> None:
        with pytest.raises(IntegrityError, match=word):
            manifest.verify(bundle)

    (bundle / "extra.txt").write_text("")
    refused("not in its manifest")
    (bundle / "extra.txt").unlink()
    whole = (bundle / "run.py").read_bytes()
    (bundle / "run.py").write_bytes(whole[:-1])
    refused("digest differs")
    (bundle / "run.py").unlink()
    refused("missing")
    (tmp_path / "run.py").write_bytes(whole)
    (bundle / "run.py").symlink_to(tmp_path / "run.py")
    refused("is a link")


def test_the_command_exits_5_and_names_the_file(built: Workspace, bundle: Path) -> None:
    (bundle / "labels.json").write_text("[]")
    ran = built.run("verify", str(bundle))
    assert ran.code == 5
    assert ran.err.count("\n") == 1
    assert "labels.json" in ran.err


def test_what_is_no_bundle_is_a_usage_error(built: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a bundle"):
        manifest.verify(tmp_path)
    assert built.run("verify", str(tmp_path / "absent")).code == 2
