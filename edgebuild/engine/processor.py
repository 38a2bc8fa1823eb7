"""What the bytes of a `same-cpu` step depend on beside its key: the processor, the C library, and how tools were built.

Two machines that give the same words here share such results; whatever is not known for sure makes them differ.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from edgebuild.engine import digests

# Of the first processor in /proc/cpuinfo, on x86 and on ARM.
_X86 = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
_ARM = ("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features")
# Variables that have libraries choose other kernels, by the beginnings of their names.
_CHOOSING = ("NPY_", "ATEN_", "MKL_", "DNNL_", "ONEDNN_", "OPENBLAS_", "GLIBC_TUNABLES", "TF_ENABLE_ONEDNN")
_THREADS = ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # each step is given its own number
_COMPILED = re.compile(r"\.so[^/,]*,")


def fingerprint(tools: Iterable[str]) -> str | None:
    """The digest of all that; None where it cannot be told how one of these distributions was built."""
    builds = {name: build(name) for name in tools}
    if None in builds.values():
        return None
    return digests.of_json({"machine": machine(), "builds": builds})


@cache
def machine() -> dict[str, str]:
    """The processor, its caches (by whose sizes matrices are cut up), the C library, and what chooses kernels."""
    text = _read(Path("/proc/cpuinfo")).partition("\n\n")[0]
    pairs = (line.partition(":") for line in text.splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs if name.strip() in (*_X86, *_ARM)}
    caches = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    facts["caches"] = " ".join(_read(path).strip() for path in caches)
    facts["machine"], facts["libc"] = platform.machine(), " ".join(platform.libc_ver())
    chosen = sorted(name for name in os.environ if name.startswith(_CHOOSING) and name not in _THREADS)
    return facts | {f"${name}": os.environ[name] for name in chosen}


@cache
def build(distribution: str) -> str | None:
    """The digest of what a distribution's record says of its compiled files; None where it has no record.

    Two builds of a version, such as PyPI's and conda's, have other kernels. What is absent is the same anywhere.
    """
    try:
        record = metadata.distribution(distribution).read_text("RECORD")
    except metadata.PackageNotFoundError:
        return "absent"
    return None if record is None else digests.of_json(sorted(filter(_COMPILED.search, record.splitlines())))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
