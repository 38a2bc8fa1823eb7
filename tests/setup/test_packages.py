"""`scripts/test-packages`: what is installed, what is not touched, and one line with its own exit code otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

PROGRAMS = "awk bash cat dirname env flock grep id mkdir mktemp printf rm sed sort touch".split()
MISSING = "test-packages: OpenSSH's server is missing: apt-get install openssh-server openssh-client\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The programs of a machine without OpenSSH, its apt one that notes what it is asked to do."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name) or name)
    write(programs / "apt-get", f'echo "$*" >> {tmp_path}/asked')
    return programs


def write(path: Path, script: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(machine: Path, user: int) -> tuple[int, str, list[str]]:
    """As this user: exit code, what it says, and what was asked of apt."""
    write(machine / "id", f"echo {user}")
    environment = {"PATH": str(machine), "HOME": str(machine.parent)}
    # /usr/sbin, where it looks too, may hold a server here: in its place the machine's own folder.
    script = (ROOT / "scripts/test-packages").read_text().replace("/usr/sbin:/sbin", str(machine))
    copy = machine.parent / "scripts" / "test-packages"
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(script)
    command = [os.environ.get("BASH", "bash"), str(copy), "sshd"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    asked = machine.parent / "asked"
    return done.returncode, done.stderr, asked.read_text().splitlines() if asked.exists() else []


def test_root_gets_a_server_that_is_missing(machine: Path) -> None:
    assert run(machine, user=0) == (
        0,
        "",
        ["-qq update", "-y -qq install --no-install-recommends openssh-server openssh-client"],
    )


def test_a_server_that_is_there_is_left_alone(machine: Path) -> None:
    for name in ("sshd", "ssh-keygen"):
        write(machine / name, "true")
    assert run(machine, user=0) == (0, "", [])


def test_whoever_may_not_install_it_is_told_what_would(machine: Path) -> None:
    assert run(machine, user=1000) == (3, MISSING, [])


def test_an_index_that_cannot_be_reached_is_no_error_of_the_tests(machine: Path) -> None:
    write(machine / "apt-get", "exit 100")
    assert run(machine, user=0)[:2] == (3, "test-packages: OpenSSH's server cannot be installed\n")
