"""The emulator that is compiled here: its arithmetic, the comparison that lets it in, and what it is used for."""

import ctypes
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebuild.devices.emulation import faster, host
from edgebuild.devices.emulation.emulator import Counting, Device, execute
from edgebuild.devices.emulation.supply import Brought
from edgebuild.devices.emulation.sysroot import Emulator, prepare
from edgebuild.spec.errors import DeviceError

# What QEMU's sources define around the change: names of helpers, and the number that a call carries.
AROUND = """#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#define HELPER(name) name
#define simd_data(d) (d)
"""
HALVES = {"b": (8, 16), "h": (16, 32)}


@pytest.fixture(scope="module")
def helpers(cc, tmp_path_factory) -> ctypes.CDLL:
    """The functions that the change adds to QEMU."""
    folder = tmp_path_factory.mktemp("helpers")
    [hunk] = re.findall(r"^\+\+\+ b/target/arm/vec_helper\.c.*?(?=^diff|\Z)", faster.PATCH.read_text(), re.M | re.S)
    added = [line[1:] for line in hunk.splitlines()[1:] if line.startswith("+")]
    (folder / "helpers.c").write_text(AROUND + "\n".join(added) + "\n")
    subprocess.run([*cc, "-O2", "-shared", "-fPIC", "-o", folder / "helpers.so", folder / "helpers.c"], check=True)
    return ctypes.CDLL(str(folder / "helpers.so"))


def _registers(seed: int) -> list[np.ndarray]:
    """Three registers of 16 bytes: random, and in every third draw nothing but the ends of the ranges."""
    draw = np.random.default_rng(seed)
    ends = np.array([0x00, 0x7F, 0x80, 0xFF], np.uint8)
    return [draw.choice(ends, 16) if seed % 3 == 0 else draw.integers(0, 256, 16, np.uint8) for _ in range(3)]


@pytest.mark.parametrize("upper", [0, 8])
@pytest.mark.parametrize("size", ["b", "h"])
@pytest.mark.parametrize("kind", ["mull", "mlal"])
@pytest.mark.parametrize("sign", ["s", "u"])
def test_products_are_those_of_the_instruction(helpers, sign, kind, size, upper):
    narrow, wide = (np.dtype(f"{'u' if sign == 'u' else ''}int{bits}") for bits in HALVES[size])
    for seed in range(60):
        d, n, m = _registers(seed)
        a, b = (each[upper : upper + 8].view(narrow).astype(np.int64) for each in (n, m))
        expected = a * b + (d.view(wide).astype(np.int64) if kind == "mlal" else 0)
        getattr(helpers, f"gvec_{sign}{kind}_{size}")(
            *(each.ctypes.data_as(ctypes.c_void_p) for each in (d, n, m)), upper
        )
        assert d.view(wide).tolist() == expected.astype(wide).tolist()


@pytest.mark.parametrize("sign", ["s", "u"])
def test_sums_of_pairs_are_those_of_the_instruction(helpers, sign):
    narrow, wide = (np.dtype(f"{'u' if sign == 'u' else ''}int{bits}") for bits in (16, 32))
    for seed in range(60):
        d, n, _ = _registers(seed)
        expected = d.view(wide).astype(np.int64) + n.view(narrow).astype(np.int64).reshape(4, 2).sum(1)
        getattr(helpers, f"gvec_{sign}adalp_h")(*(each.ctypes.data_as(ctypes.c_void_p) for each in (d, n)), 0)
        assert d.view(wide).tolist() == expected.astype(wide).tolist()


def test_a_result_may_lie_in_an_operand(helpers):
    _, n, _ = _registers(1)
    expected = (n[8:].view(np.int8).astype(np.int16) ** 2).tolist()
    helpers.gvec_smull_b(*[n.ctypes.data_as(ctypes.c_void_p)] * 3, 8)
    assert n.view(np.int16).tolist() == expected


def _program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def as_they_are(monkeypatch):
    """Scripts that stand before an emulator are started without the loader, which takes programs alone."""
    plain = host.command

    def command(program: Path, libraries: Path | None = None) -> list[str]:
        return [str(program)] if program.read_bytes().startswith(b"#!") else [*plain(program, libraries)]

    monkeypatch.setattr(host, "command", command)


def test_an_emulator_is_compared_with_debians_before_it_is_taken(tmp_path, emulator: Emulator, as_they_are):
    qemu = shlex.join(host.command(emulator.qemu))
    faster.compare(emulator.qemu, emulator.qemu, emulator.system, emulator.libraries)
    wrong = _program(tmp_path / "wrong", f"{qemu} \"$@\" | sed '/^umlal,q1,size0,/s/0$/1/'")
    with pytest.raises(DeviceError, match="computes something else: umlal,q1,size0,v"):
        faster.compare(emulator.qemu, wrong, emulator.system, emulator.libraries)
    short = _program(tmp_path / "short", f'{qemu} "$@" | head -n 3')
    with pytest.raises(DeviceError, match="computes something else: what it leaves out"):
        faster.compare(emulator.qemu, short, emulator.system, emulator.libraries)


def test_it_runs_and_never_counts(tmp_path, device: Device, emulator: Emulator, as_they_are):
    qemu = shlex.join(host.command(emulator.qemu))
    quick = _program(tmp_path / "quick", f"echo used >> '{tmp_path}/uses'\nexec {qemu} \"$@\"")
    quickened = replace(device, emulator=replace(emulator, faster=quick))
    script = tmp_path / "script.py"
    script.write_text("print(1)")
    assert execute(tmp_path, quickened, script).stdout.read_text() == "1\n"
    execute(tmp_path, quickened, script, counting=Counting(tmp_path / "counts.jsonl"))
    assert (tmp_path / "uses").read_text() == "used\n"
    assert emulator.runner == (emulator.faster or emulator.qemu)


def test_where_it_cannot_be_compiled_the_emulator_stays_as_it_is(tmp_path, emulator: Emulator):
    parts = tmp_path / "cache"
    parts.mkdir()
    (tmp_path / "nothing").mkdir()
    for tree in (emulator.tools, emulator.system, emulator.site, emulator.plugin.parent):
        (parts / tree.parent.name).symlink_to(tree.parent)
    with pytest.raises(DeviceError, match="nothing: qemu.* is not there"):
        prepare(parts, quicken=True, supply=Brought(tmp_path / "nothing"))
    assert prepare(parts).faster is None
    assert not list(parts.glob(".staging*"))
