"""The runtimes' Python packages for ARM, at the versions this machine has: which they are, and how they are unpacked.

Those of pinned versions come as all other files do. For others pip is asked, which knows what they need in turn.
"""

import importlib.metadata
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from edgebuild.devices.emulation import bytecode, pinned
from edgebuild.devices.emulation.commands import run
from edgebuild.devices.emulation.parts import Download
from edgebuild.spec import sha256
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.registry import FORMATS
from edgebuild.travels import runner_loaders

# The sysroot is Debian 12: Python 3.11 and glibc 2.36, which runs wheels for every older glibc (PEP 600).
OPTIONS = (
    *(f"--python-version={bytecode.VERSION}", "--implementation=cp"),
    *(f"--platform=manylinux_2_{minor}_aarch64" for minor in range(36, 16, -1)),
    "--platform=manylinux2014_aarch64",
)


def installed_versions() -> dict[str, str]:
    """Versions of the runtimes on this machine; the device gets the same, so that both run the same code.

    Raises:
        DeviceError: numpy or every runtime is missing.
    """
    versions = {name: version for name in _runtimes() if (version := _version(name))}
    if "numpy" not in versions or versions.keys() == {"numpy"}:
        raise DeviceError("emulator set-up: install numpy and onnxruntime or ai-edge-litert on this machine first")
    return versions


def other_versions(versions: dict[str, str]) -> str:
    """Why files that were brought will not do for the versions that this machine has, and what mends it."""
    brought = pinned.wheels(pinned.SITE)
    differing = [f"{name} {version}" for name, version in versions.items() if brought.get(name) != version]
    others = [f"{name}=={brought[name]}" for name in versions if name in brought]
    return (
        f"emulator set-up: {', '.join(differing)} is installed here, and the files for ARM are of another version: "
        f"pip install {' '.join(others)}, or set up with a network"
    )


def _runtimes() -> list[str]:
    """numpy, and of the formats that the runner opens those runtimes that stand alone: not one that brings PyTorch."""
    opened = [kind for kind in FORMATS.usable().values() if kind.runtime in runner_loaders.PACKAGES]
    return ["numpy", *(kind.runtime for kind in opened if not kind.runtime_needs)]


def fetch(versions: dict[str, str], folder: Path) -> list[Download]:
    """Let pip download wheels of `versions` and of what they need into `folder`.

    Raises:
        DeviceError: pip is missing, a wheel does not exist for ARM, or the index cannot be reached.
    """
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in _machine().items()))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
    pip += ["--only-binary=:all:", "--dest", str(folder), *OPTIONS, "--constraint", str(constraints)]
    requirements = [f"{name}=={version}" for name, version in versions.items()]
    run([*pip, *requirements], what="Python packages of the emulator")
    return [Download(each.name, sha256.of_file(each), each.stat().st_size) for each in sorted(folder.glob("*.whl"))]


def unpack(wheels: Iterable[Path], site: Path, needless: re.Pattern[str] | None = None) -> None:
    """Extract the wheels below `site`, without files whose paths match `needless`.

    zipfile checks each member's CRC and drops `..` and absolute paths.

    Raises:
        DeviceError: a wheel is damaged.
    """
    import zipfile

    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                names = archive.namelist()
                archive.extractall(site, [each for each in names if not (needless and needless.match(each))])
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
