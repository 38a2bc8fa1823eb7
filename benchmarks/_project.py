"""Projects and targets that benchmarks build with, and the emulator that most of them need."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from edgebuild.devices.qemu import Qemu
from edgebuild.engine.store import Store
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.project import Project, open_project
from edgebuild.spec.target import Target

ROOT = Path(__file__).resolve().parent.parent
_NOT_CODE = shutil.ignore_patterns("__*")
_EXAMPLES = re.compile("^examples = .*$", re.MULTILINE)
_RUNTIME = re.compile(r'^\[\[runtimes\]\]\nformat = "(\w+)"\n', re.MULTILINE)


def target(name: str) -> Target:
    """A target whose emulated device is ready; DeviceError where it is not."""
    profile = open_project(ROOT).target(name)
    reason = Qemu().attach(profile.hardware).why_unusable()
    if reason is not None:
        raise DeviceError(reason)
    return profile


def with_target(folder: Path, name: str, *, examples: int, formats: tuple[str, ...] = (), short: bool = False) -> None:
    """Put the product's own target `name` into the project, with so many examples on the emulated core.

    It runs all formats of the profile, or those in `formats`; `short`: this machine is hardly measured.
    """
    profile = (ROOT / "targets" / f"{name}.toml").read_text(encoding="utf-8")
    if short:
        profile = f"{_timing(looks=6)}\n{profile}"  # fewer processes could decide none of its gates
    profile = _EXAMPLES.sub(f"examples = {examples}", profile)
    if formats:
        profile = _RUNTIME.sub(lambda runtime: runtime[0] if runtime[1] in formats else "", profile)
    (folder / "targets").mkdir()
    (folder / "targets" / f"{name}.toml").write_text(profile, encoding="utf-8")
    written = open_project(folder).target(name)
    assert written.devices[0].options["examples"] == examples
    assert not formats or {runtime.format for runtime in written.runtimes} == {*formats}


def _timing(looks: int) -> str:
    return f'timing = {{looks = [{looks}], iterations = 2, warmup_iterations = 1, warmup = "0.01 s"}}'


_SHORT = """
description = "This machine, measured in a moment"
hardware = {arch = "x86_64", cpu = "x86-64"}
devices = [{transport = "local"}]
"""


def short_target(folder: Path, name: str, more: str = "", format: str = "tflite", looks: int = 1) -> None:
    """Give a project the target `name` that a short run builds for: this machine, hardly measured, with one `format`;
    `more` of TOML. Gates on time need 6 `looks`.
    """
    (folder / "targets").mkdir()
    text = f'{_SHORT}{_timing(looks)}\nruntimes = [{{format = "{format}"}}]\n{more}'
    (folder / "targets" / f"{name}.toml").write_text(text, encoding="utf-8")


def digits(folder: Path, *, small: bool) -> Project:
    """A project in `folder` with the model `digits`: the product's own, or a small one that trains in seconds."""
    place = folder / "models" / "digits"
    if small:
        shutil.copytree(ROOT / "benchmarks" / "small" / "digits", place, ignore=_NOT_CODE)
        shutil.copyfile(ROOT / "models" / "digits" / "model.py", place / "full.py")
    else:
        shutil.copytree(ROOT / "models" / "digits", place, ignore=_NOT_CODE)
    return open_project(folder)


def made(store: Store, label: str) -> Path:
    """The output folder of the step with this label, as a build has just made it."""
    action = store.last(label)
    assert action is not None
    return store.path(action.output)


def answers(store: Store, label: str) -> Any:
    """What a step with this label has noted of a file's first output for all held-out examples."""
    import numpy as np

    with np.load(made(store, label) / "outputs.npz") as stored:
        return stored["0"]
