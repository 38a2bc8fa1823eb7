"""What a step promises of its bytes: `everywhere` is shown on a processor that can less, or plain from what it does."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from edgebuild.devices.local import Local
from edgebuild.devices.qemu import Qemu
from edgebuild.engine import digests, keys
from edgebuild.engine.graph import Node
from edgebuild.formats.coding import encoder
from edgebuild.spec import compressors
from edgebuild.spec.names import class_name
from edgebuild.steps.techniques.encode import Encode
from edgebuild.steps.techniques.float16 import Float16
from edgebuild.steps.techniques.int8 import Int8
from tests import tiny
from tests.contracts.test_plugins import STEPLIKE, names

# Shown below by running them where the libraries think that the processor is an old one.
SHOWN = {"Float16", "Log2"}
# Copies, counts and sums of whole numbers, differences and quotients of a few floats: no kernel, no C library.
EVIDENT = {"ImportWeights", "Arena", "Footprint", "Roofline", "Predict", "Agreement", "ChooseBy"}
EVIDENT |= {
    "JoinedFootprint",
    "JoinedParity",
    "SplitRule",
    "WithFallback",
}  # sums of whole numbers, and copies
COUNTED = {"Count", "Sampled", "StreamOutputs", "LayerTimes"}
ARTIFACTS = ("onnx-float16", "tflite-float16", "log2")


def steps() -> Iterator[Any]:
    for folder in STEPLIKE:
        for name in names(folder):
            yield getattr(importlib.import_module(f"edgebuild.{folder}.{name}"), class_name(name))


def test_what_is_promised_everywhere_is_shown_or_evident() -> None:
    assert {kind.__name__ for kind in steps() if kind.deterministic == "everywhere"} == SHOWN | EVIDENT


def test_what_is_timed_is_shared_with_nobody_and_what_an_emulated_device_counts_with_all() -> None:
    assert {kind.__name__ for kind in steps() if "shared" in vars(kind)} == COUNTED
    device = Qemu()
    assert device.counts
    for kind in steps():
        if kind.__name__ in COUNTED:
            answers = [kind.shared.fget(SimpleNamespace(device=each)) for each in (device, Local())]
            assert (kind.deterministic, answers) == ("no", ["everywhere", "no"])
    assert (Float16().shared, Int8().shared) == ("everywhere", "same-cpu")


def old_processor() -> dict[str, str]:
    """What makes numpy, torch, MKL, oneDNN, OpenBLAS and the C library choose their plainest kernels."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    extras = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    return {
        "NPY_DISABLE_CPU_FEATURES": " ".join(extras),
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "DNNL_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-FMA,-AVX",
    }


@pytest.fixture(scope="module")
def elsewhere(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> tiny.Made:
    """The same float model and files, and what is made of them where the processor can less."""
    root = tmp_path_factory.mktemp("old") / "tiny"
    for name in ("code", "data", "float", "onnx", "tflite"):
        shutil.copytree(made[name], root / name)
    command = [sys.executable, "-m", "tests.tiny", str(root), *ARTIFACTS]
    done = subprocess.run(
        command, cwd=tiny.MODELS.parent.parent, env=os.environ | old_processor(), capture_output=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return tiny.Made("tiny", root)


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_an_old_processor_makes_the_same_bytes(made: tiny.Made, elsewhere: tiny.Made, artifact: str) -> None:
    assert digests.listing(elsewhere[artifact]) == digests.listing(made[artifact])


def parts(step: Any) -> dict[str, str]:
    keys._versions.cache_clear()
    found = keys.parts(Node(step, {}, "onnx"), {})
    keys._versions.cache_clear()
    return found


def test_the_compressors_behind_a_download_are_part_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = parts(Encode())
    assert before["tool.zlib"].startswith(zlib.ZLIB_RUNTIME_VERSION)
    assert set(before) - set(parts(Float16())) >= {"tool.zlib", "tool.lzma"}
    monkeypatch.setattr(compressors.zlib, "ZLIB_RUNTIME_VERSION", "1.3.1.zlib-ng")
    digest = before["tool.zlib"].rpartition(" ")[2]
    changed = f"tool.zlib {before['tool.zlib']} → 1.3.1.zlib-ng {digest}"
    assert keys.changes(before, parts(Encode())) == [changed]


def test_a_compressor_that_searches_otherwise_changes_the_key_though_it_has_the_same_version(
    made: tiny.Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As zlib-ng on another processor: the download differs, and so must its key."""
    model = made.file("onnx").read_bytes()
    before, download = parts(Encode()), encoder.encode(model, ())
    original = zlib.compressobj
    monkeypatch.setattr(zlib, "compressobj", lambda level, *more: original(1, *more))
    monkeypatch.setattr(encoder, "_SETTINGS", ({"preset": 0, "lc": 0, "pb": 0},) * 2)
    assert encoder.encode(model, ()) != download
    assert parts(Encode())["tool.zlib"] != before["tool.zlib"]


def test_ranges_taken_by_float_kernels_are_this_processors() -> None:
    observing = [kind for kind in steps() if {"calibration", "examples"} & {*kind.__slots__}]
    assert Int8 in observing
    assert [kind.__name__ for kind in observing if kind.deterministic != "same-cpu"] == []
