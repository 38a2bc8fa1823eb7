"""What the device is, what state it is in, and what is installed there.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import re
import shutil
import subprocess
import sys
from typing import Any, Dict, Optional, Sequence

if __package__:
    from . import runner_loaders as loaders
else:
    import runner_loaders as loaders  # type: ignore[import-not-found,no-redef]


def fingerprint() -> Dict[str, Any]:
    """What this machine is and what state it is in; None where it does not say."""
    cpufreq = "/sys/devices/system/cpu/cpu0/cpufreq/"
    temperature = whole(read("/sys/class/thermal/thermal_zone0/temp"))
    memory = re.search(r"MemTotal:\s+(\d+) kB", read("/proc/meminfo") or "")
    return {
        "machine": platform.machine(),
        "board": read("/proc/device-tree/model"),
        "cpu": cpu_model(),
        "microcode": cpu_field("microcode"),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "governor": read(cpufreq + "scaling_governor"),
        "frequency_khz": whole(read(cpufreq + "scaling_cur_freq")),
        "temperature_c": None if temperature is None else temperature / 1000,
        "throttle": throttle(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_bytes": int(memory.group(1)) * 1024 if memory else None,
        "memory_limit": read("/sys/fs/cgroup/memory.max"),
        "boot": read("/proc/sys/kernel/random/boot_id"),  # of this machine since it was started, and of no other
    }


def read(path: str) -> Optional[str]:
    """Content of a small system file without blanks and NULs at its ends, None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip("\0 \n") or None
    except OSError:
        return None


def whole(text: Optional[str]) -> Optional[int]:
    """A whole number, None for anything else: some drivers answer <unknown>."""
    return int(text) if text and re.match(r"-?[0-9]+$", text) else None


def cpu_field(name: str) -> Optional[str]:
    """A field of the first processor in /proc/cpuinfo."""
    matched = re.search(r"^%s\s*:\s*(.+?)\s*$" % re.escape(name), read("/proc/cpuinfo") or "", re.MULTILINE)
    return matched.group(1) if matched else None


def cpu_model() -> Optional[str]:
    """The processor's name, or on ARM, which prints none, its identification numbers."""
    named = cpu_field("model name")
    part = cpu_field("CPU part")
    if named or not part:
        return named or platform.processor() or None
    fields = ("CPU implementer", "CPU variant", "CPU revision")
    return "part %s " % part + " ".join("%s %s" % (f.split()[1], cpu_field(f)) for f in fields)


def throttle() -> Optional[str]:
    """Throttle bits of a Raspberry Pi, such as 0x0."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        done = subprocess.run([program, "get_throttled"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().partition("=")[2] or None


def rss(which: str) -> Optional[int]:
    """This process's resident memory in bytes: VmRSS, what it is now, or VmHWM, its high-water mark.

    Not from getrusage: on Linux that starts at the size of the process which started this one.
    """
    matched = re.search(r"%s:\s+(\d+) kB" % which, read("/proc/self/status") or "")
    return int(matched.group(1)) * 1024 if matched else None


def rss_without_models(specs: Sequence[Dict[str, Any]]) -> Optional[int]:
    """Resident memory with the runtimes imported; from here on the high-water mark starts anew, where that may be."""
    endings = {os.path.splitext(spec["file"])[1] for spec in specs}
    for ending in endings & loaders.LOADERS.keys():
        loaders.LOADERS[ending].runtime()
    gc.collect()
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return rss("VmRSS")


def runtimes() -> Dict[str, Optional[str]]:
    """Versions of what has been imported."""
    modules = [package.replace("-", "_") for package in (*loaders.PACKAGES, *loaders.BROUGHT)]
    return {module.replace("ai_edge_", ""): version(module) for module in modules}


def version(module: str) -> Optional[str]:
    """Version of an imported module, from itself or from its package's metadata."""
    from importlib import metadata

    if module not in sys.modules:
        return None
    try:
        return str(getattr(sys.modules[module], "__version__", None) or metadata.version(module.replace("_", "-")))
    except metadata.PackageNotFoundError:
        return "unknown"


ANDROID = ("ro.product.model", "ro.soc.model", "ro.build.fingerprint")


def about() -> Dict[str, Any]:
    """The fingerprint, with what is installed here; nothing heavy is imported."""
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in loaders.PACKAGES},
        "android": {name: android(name) for name in ANDROID} if shutil.which("getprop") else {},
        "fingerprint": fingerprint(),
    }


def android(name: str) -> Optional[str]:
    """A property of an Android system."""
    done = subprocess.run(["getprop", name], capture_output=True, text=True, timeout=5, check=False)
    return done.stdout.strip() or None


def installed(package: str) -> Optional[str]:
    """Version of a package that can be imported, None where it cannot be found."""
    from importlib import metadata, util

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown" if util.find_spec(package.replace("-", "_")) else None
