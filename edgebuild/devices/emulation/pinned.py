"""The files that the emulator is made of, each with its digest: the list `pinned.json`, made by `scripts/pin`.

What lies in a group of the list is decided there; here is only read.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote

MIRROR = "EDGEBUILD_DEBIAN_MIRROR"  # names a mirror of Debian that is asked first
LIST = Path(__file__).with_name("pinned.json")
# One group of files for each part, those of programs for each architecture: TOOLS.format(machine).
TOOLS, COMPILER, SYSTEM, SITE = "tools-{}", "compiler-{}", "system", "site"
FASTER_SOURCE, FASTER_LIBRARIES, FASTER_TOOLS = "faster-source", "faster-libraries", "faster-tools"


@dataclass(frozen=True, slots=True)
class Pinned:
    """A file by its SHA-256 (hex) and size in bytes.

    `place` is where it lies: below any mirror of Debian (`pool/…`), or the whole address of a Python package.
    """

    place: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The file's name, which has the package's name and version."""
        return unquote(self.place.rpartition("/")[2])

    @property
    def is_debian(self) -> bool:
        """Whether it is a package of Debian, and not of the Python package index."""
        return "://" not in self.place


@cache
def group(name: str) -> tuple[Pinned, ...]:
    """The files of a group."""
    rows = _list()["groups"][name]
    return tuple(Pinned(str(each["place"]), str(each["sha256"]), int(each["size"])) for each in rows)


def snapshot() -> str:
    """The time at which all of Debian's files were in its archive, as snapshot.debian.org writes it."""
    return str(_list()["snapshot"])


def digests(name: str) -> dict[str, str]:
    """SHA-256 by file name: what decides a part that is made of the group."""
    return {each.name: each.sha256 for each in group(name)}


def wheels(name: str) -> dict[str, str]:
    """Version by name of the distributions whose wheels a group holds."""
    from packaging.utils import parse_wheel_filename

    parsed = [parse_wheel_filename(each.name) for each in group(name) if each.name.endswith(".whl")]
    return {str(wheel): str(version) for wheel, version, *_ in parsed}


@cache
def _list() -> dict[str, dict[str, list[dict[str, str | int]]]]:
    loaded: dict[str, dict[str, list[dict[str, str | int]]]] = json.loads(LIST.read_bytes())
    return loaded
