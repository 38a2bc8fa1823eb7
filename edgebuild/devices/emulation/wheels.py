"""Fetches the runtime's Python packages for ARM, at the versions this machine has, and unpacks them into a folder."""

import importlib.metadata
import os
import re
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from edgebuild.devices.emulation.commands import run
from edgebuild.devices.emulation.parts import Download
from edgebuild.spec import sha256
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.registry import FORMATS
from edgebuild.travels import runner_loaders

# The sysroot is Debian 12: Python 3.11 and glibc 2.36, which runs wheels for every older glibc (PEP 600).
PYTHON = "3.11"
_GLIBC_MINORS = range(36, 16, -1)


def installed_versions() -> dict[str, str]:
    """Versions of the runtimes on this machine; the device gets the same, so that both run the same code.

    Raises:
        DeviceError: numpy or every runtime is missing.
    """
    versions = {name: version for name in _runtimes() if (version := _version(name))}
    if "numpy" not in versions or versions.keys() == {"numpy"}:
        raise DeviceError("emulator set-up: install numpy and onnxruntime or ai-edge-litert on this machine first")
    return versions


def _runtimes() -> list[str]:
    """numpy, and of the formats that the runner opens those runtimes that stand alone: not one that brings PyTorch."""
    opened = [kind for kind in FORMATS.usable().values() if kind.runtime in runner_loaders.PACKAGES]
    return ["numpy", *(kind.runtime for kind in opened if not kind.runtime_needs)]


def fetch(versions: dict[str, str], folder: Path) -> list[Download]:
    """Download wheels of `versions` and of what they need into `folder`.

    Raises:
        DeviceError: pip is missing, a wheel does not exist for ARM, or the index cannot be reached.
    """
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in _machine().items()))
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in _GLIBC_MINORS]
    wanted = [f"{name}=={version}" for name, version in versions.items()]
    options = [f"--python-version={PYTHON}", "--implementation=cp", *platforms]
    options += ["--platform=manylinux2014_aarch64", "--constraint", str(constraints)]
    download(wanted, folder, *options, what="Python packages of the emulator")
    return listed(folder)


def download(wanted: Sequence[str], folder: Path, *options: str, what: str) -> None:
    """Let pip download wheels into `folder`; `what` begins the message of a DeviceError when it cannot."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
    run([*pip, "--only-binary=:all:", "--dest", folder, *options, *wanted], what=what)


def listed(folder: Path) -> list[Download]:
    """The wheels in `folder`, with their digests."""
    return [Download(each.name, sha256.of_file(each), each.stat().st_size) for each in sorted(folder.glob("*.whl"))]


def unpack(wheels: Path, site: Path) -> None:
    """Extract the wheels below `site`; zipfile checks each member's CRC and drops `..` and absolute paths.

    Raises:
        DeviceError: a wheel is damaged.
    """
    for wheel in sorted(wheels.glob("*.whl")):
        try:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
        except (zipfile.BadZipFile, EOFError) as error:
            raise DeviceError(f"{wheel.name} is damaged: {error}") from error


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _machine() -> dict[str, str]:
    """Every distribution here with a public version, so that dependencies too get the versions tested together.

    Local versions (`2.13.0+cpu`) are on no index, and distributions outside this Python's folders may be broken.
    """
    names: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        name, version = each.metadata["Name"], each.version
        if name and version and re.fullmatch(r"[0-9a-z.]+", version):
            names.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return {name: names[name] for name in sorted(names)}


def compile_bytecode(folder: Path) -> None:
    """Compile Python files once here instead of at each start in the emulator (bytecode is the same on every CPU).

    Only this Python version's bytecode is understood there; another one would be ignored, so nothing is done then.
    """
    if sys.version_info[:2] != tuple(map(int, PYTHON.split("."))):
        return
    options = ["--invalidation-mode", "unchecked-hash", "-q", "-q"]  # no times inside: the same bytes every time
    command = [sys.executable, "-m", "compileall", *options, "-s", str(folder), str(folder)]
    run(command, what="compiling Python files", env={**os.environ, "PYTHONHASHSEED": "0"})
