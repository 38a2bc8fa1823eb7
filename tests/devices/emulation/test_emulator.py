"""Programs on the emulated device: what they see, how they end, what is counted."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgebuild import travels
from edgebuild.devices.emulation.counted import parse
from edgebuild.devices.emulation.cpu_profile import CpuProfile, view
from edgebuild.devices.emulation.emulator import Counting, Device, Limits, execute
from edgebuild.devices.emulation.sysroot import Emulator, prepare
from edgebuild.spec.errors import DeviceError
from tests.devices.emulation.conftest import A72

MARKERS = "import ctypes\nmark = ctypes.CDLL(None).syscall\n"
# AT_HWCAP bits of arm64 Linux (arch/arm64/include/uapi/asm/hwcap.h), in order.
HWCAPS = """fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3
sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg""".split()


def _run(tmp_path: Path, device: Device, code: str, **keywords) -> str:
    script = tmp_path / "script.py"
    script.write_text(code)
    return execute(tmp_path, device, script, **keywords).stdout.read_text()


def test_the_guest_is_the_device(tmp_path, device):
    code = "import json, os, platform; print(json.dumps([platform.machine(), os.cpu_count(), dict(os.environ)]))"
    machine, cores, environment = json.loads(_run(tmp_path, device, code, environment={"CHOSEN": "1"}))
    assert (machine, cores) == ("aarch64", 4)
    assert environment["CHOSEN"] == "1"
    assert environment["ORT_DISABLE_TELEMETRY"] == "1"
    assert "LD_LIBRARY_PATH" not in environment
    assert environment["PATH"] == "/usr/bin:/bin"


def test_arguments_are_data(tmp_path, device):
    hostile = ["a b", "$(touch evil)", "-L", "--", "é,x"]
    printed = _run(tmp_path, device, "import sys, json; print(json.dumps(sys.argv[1:]))", arguments=hostile)
    assert json.loads(printed) == hostile


def test_a_profile_claims_only_what_its_core_executes(tmp_path, cache, emulator: Emulator, profile: CpuProfile):
    device = Device(emulator, profile.cpu, view(cache, profile, emulator.system), Limits(profile.ram_bytes))
    code = "import ctypes; print(ctypes.CDLL(None).getauxval(16) & 0xffffffff)"
    bits = int(_run(tmp_path, device, code))
    executed = {name for bit, name in enumerate(HWCAPS) if bits >> bit & 1}
    assert set(profile.features) - {"evtstrm", "dcpop"} <= executed


def test_a_divided_region_ends_and_begins_with_every_reading_of_a_clock(tmp_path, device):
    code = (
        MARKERS
        + """
import time
mark(5000, 4, 0)
few = sum(range(10))
time.monotonic()
many = sum(range(100_000))
time.monotonic()
mark(5000, 2, 0)
mark(5000, 1, 0)
time.monotonic()
mark(5000, 2, 0)
"""
    )
    _run(tmp_path, device, code, counting=Counting(tmp_path / "counts.jsonl"))
    before, between, after, undivided = parse(tmp_path / "counts.jsonl")
    assert between.instructions > 20 * max(before.instructions, after.instructions)
    assert undivided.instructions > 0


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import ctypes; ctypes.string_at(8)", "killed by SIGSEGV"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("raise ValueError('because')", "exit code 1: ValueError: because"),
        ("import sys; sys.exit(3)", "exit code 3: no message"),
        ("import no_such_module", "exit code 1: ModuleNotFoundError"),
    ],
)
def test_a_crash_names_its_cause(tmp_path, device, code, said):
    with pytest.raises(DeviceError, match=f"on emulated cortex-a72: {said}") as caught:
        _run(tmp_path, device, code)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*core*"))


def test_memory_beyond_the_device_is_refused(tmp_path, device):
    small = replace(device, limits=Limits(1 << 30))
    with pytest.raises(DeviceError, match="MemoryError"):
        _run(tmp_path, small, "x = bytearray(1 << 30)")
    _run(tmp_path, device, "x = bytearray(1 << 30)")


def test_cpu_time_is_limited(tmp_path, device):
    with pytest.raises(DeviceError, match="used more than 2 s of CPU time"):
        _run(tmp_path, replace(device, limits=Limits(1 << 32, cpu_s=2)), "while True: pass")


def test_wall_time_is_limited_and_nothing_is_left_running(tmp_path, device):
    tag = f"sleep 60{os.getpid()}"
    code = (
        f"import os, time\nos.spawnv(os.P_NOWAIT, '/bin/sleep', {tag.split()!r})\nprint(1, flush=True)\ntime.sleep(60)"
    )
    with pytest.raises(DeviceError, match="not ended after 4 s"):
        _run(tmp_path, replace(device, limits=Limits(1 << 32, wall_s=4)), code)
    end = time.monotonic() + 10
    while _running(tag) and time.monotonic() < end:  # a loaded machine takes its time over those that are killed
        time.sleep(0.05)
    assert _running(tag) == []


def test_a_killed_parent_takes_the_emulator_along(tmp_path, cache, device):
    tag = f"tag{os.getpid()}"
    (tmp_path / "guest.py").write_text("import time; time.sleep(60)")
    host = f"""
from pathlib import Path
from edgebuild.devices.emulation.emulator import Device, Limits, execute
from edgebuild.devices.emulation.sysroot import prepare
from pathlib import Path
cache, job = Path({str(cache)!r}), Path({str(tmp_path)!r})
emulator = prepare(cache)
execute(job, Device(emulator, "cortex-a72", Path({str(device.root)!r}), Limits(1 << 32)), job / "guest.py", [{tag!r}])
"""
    parent = subprocess.Popen([sys.executable, "-c", host])
    while not _running(tag + "\0"):
        assert parent.poll() is None
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not _running(tag + "\0"):
            return
        time.sleep(0.1)
    pytest.fail("the emulator outlived its parent")


def _running(tag: str) -> list[str]:
    """Command lines of emulators and their children that hold `tag`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text()
        except OSError:
            continue
        if (tag in line or tag in line.replace("\0", " ")) and "execute(job" not in line:
            found.append(line)
    return found


def test_regions_are_counted_apart_and_repeat(tmp_path, device):
    loop = "for n in (1000, 3000):\n    mark(5000, 1)\n    for _ in range(n): pass\n    mark(5000, 2)\n"
    counts = []
    for number in range(2):
        output = tmp_path / f"counts,{number}"
        _run(tmp_path, device, MARKERS + loop, counting=Counting(output))
        counts.append(parse(output))
    assert counts[0] == counts[1]
    short, long = counts[0]
    assert 2 < long.instructions / short.instructions < 4
    assert short.covered >= 0.995
    assert sum(short.classes.values()) == short.instructions
    assert short.caches == {}


def test_caches_are_modelled(tmp_path, device):
    code = MARKERS + (
        "data = bytearray(1 << 23)\nsmall = bytearray(1 << 12)\nwhole = memoryview(data)\n"
        "copy = bytes(whole), bytes(small)\n"
        "for buffer in (memoryview(small), whole):\n    mark(5000, 1)\n    x = bytes(buffer)\n    mark(5000, 2)\n"
    )
    output = tmp_path / "counts"
    _run(tmp_path, device, code, counting=Counting(output, A72.caches))
    small, large = parse(output)
    lines = (1 << 23) // 64
    assert small.caches["l2"].misses < lines // 100
    assert 1.9 * lines < large.caches["l2"].misses < 2.3 * lines  # the copy reads and writes each line


def test_several_threads_are_refused(tmp_path, device):
    code = MARKERS + "import threading\nt = threading.Thread(target=print); t.start(); t.join()\n"
    output = tmp_path / "counts"
    _run(tmp_path, device, code, counting=Counting(output))
    with pytest.raises(DeviceError, match="over 2 threads"):
        parse(output)


def test_both_runtimes_load_in_one_thread(tmp_path, device):
    code = "import ai_edge_litert.interpreter, onnxruntime\n"
    output = tmp_path / "counts"
    _run(tmp_path, device, code, counting=Counting(output))
    assert parse(output) == []


def test_the_runner_is_a_copy_with_bytecode_of_the_guests_own(tmp_path, device, emulator: Emulator):
    names = [Path(name) for name in travels.RUNNER]
    assert all((emulator.programs / name).read_bytes() == travels.file(str(name)).read_bytes() for name in names)
    compiled = {path.name for path in (emulator.programs / "__pycache__").iterdir()}
    assert compiled == {f"{name.stem}.cpython-311.pyc" for name in names}
    code = (
        f"import sys; sys.path.insert(0, {str(emulator.programs)!r}); import runner_models as own; print(own.__file__)"
    )
    assert Path(_run(tmp_path, device, code).strip()).parent == emulator.programs


def test_a_second_set_up_reads_only_manifests(cache):
    before = time.process_time()
    prepare(cache)
    assert time.process_time() - before < 0.05


def test_relative_paths_work(tmp_path, cache, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(cache.resolve())
    relative = Path("link")
    emulator = prepare(relative)
    (tmp_path / "job").mkdir()
    (tmp_path / "job/script.py").write_text("print('ran')")
    device = Device(emulator, A72.cpu, view(relative, A72, emulator.system), Limits(1 << 32))
    assert execute(Path("job"), device, Path("job/script.py")).stdout.read_text() == "ran\n"
