"""The runner as the emulated system loads it: a copy of what travels, compiled as all that it loads.

Beside the originals may lie bytecode of the Python that runs us, or none: a guest that reads it, or compiles instead,
lays out its memory otherwise, and what is counted moved by 0.003 % between Debian 12 and 13.
"""

import shutil
from pathlib import Path

from edgebuild import travels
from edgebuild.devices.emulation import bytecode
from edgebuild.devices.emulation.parts import Download, Part
from edgebuild.spec import sha256


def part(tools: Path, system: Path) -> Part:
    """The copy, made by the tools of this machine for the emulated system."""

    def build(tree: Path, _scratch: Path) -> list[Download]:
        for name in travels.RUNNER:
            shutil.copyfile(travels.file(name), tree / name)
        bytecode.compile_folder(tree, tools, system)
        return []

    files = {name: sha256.of_bytes(travels.file(name).read_bytes()) for name in travels.RUNNER}
    return Part("runner", {"files": files, "bytecode": list(bytecode.OPTIONS)}, build, "our own runner")


def runner(programs: Path) -> Path:
    """The program that runs a job, in a copy."""
    return programs / travels.RUNNER[0]
