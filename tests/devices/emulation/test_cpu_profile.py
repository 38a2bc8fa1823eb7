"""The view that an emulated CPU has of the system."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgebuild.devices.emulation.cpu_profile import CpuProfile, view


@pytest.fixture
def system(tmp_path) -> Path:
    system = tmp_path / "system-0/tree"
    for name in ("usr/bin", "lib", "proc"):
        (system / name).mkdir(parents=True)
    (system / "usr/bin/python3.11").touch()
    return system


def test_cpuinfo_names_the_core(tmp_path, system, profile: CpuProfile):
    root = view(tmp_path, profile, system)
    lines = (root / "proc/cpuinfo").read_text().splitlines()
    assert lines.count(f"CPU part\t: {profile.part:#05x}") == profile.cores
    assert lines.count("Features\t: " + " ".join(profile.features)) == profile.cores
    assert f"MemTotal:{profile.ram_bytes // 1024:>15} kB" in (root / "proc/meminfo").read_text()


def test_the_tree_states_cores_clock_and_caches(tmp_path, system, profile: CpuProfile):
    cpu = view(tmp_path, profile, system) / "sys/devices/system/cpu"
    assert (cpu / "possible").read_text() == "0-3\n"
    assert int((cpu / "cpu3/cpufreq/cpuinfo_max_freq").read_text()) * 1000 == profile.clock_hz
    for index, cache in enumerate(profile.caches):
        folder = cpu / f"cpu2/cache/index{index}"
        assert (folder / "size").read_text() == f"{cache.size_bytes // 1024}K\n"
        assert (folder / "shared_cpu_list").read_text() == ("0-3\n" if cache.shared_by == 4 else "2\n")
        sets = int((folder / "number_of_sets").read_text())
        assert sets * cache.ways * 64 == cache.size_bytes


def test_the_system_is_linked_not_copied_and_can_be_moved(tmp_path, system, profile: CpuProfile):
    root = view(tmp_path, profile, system)
    assert (root / "usr").is_symlink()
    assert not (root / "proc").is_symlink()
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)
    assert (moved / root.relative_to(tmp_path) / "usr/bin/python3.11").exists()


def test_each_profile_has_its_own_view(tmp_path, system, profile: CpuProfile):
    slower = replace(profile, clock_hz=1_000_000_000)
    assert view(tmp_path, profile, system) == view(tmp_path, profile, system)
    assert view(tmp_path, profile, system) != view(tmp_path, slower, system)
