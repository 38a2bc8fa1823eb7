"""Where what a test needs cannot be had, the test is skipped with the reason; a script that fails is an error."""

from __future__ import annotations

import subprocess

import pytest

from tests.devices import packages


@pytest.mark.parametrize(("code", "outcome"), [(3, pytest.skip.Exception), (1, AssertionError)])
def test_only_what_cannot_be_had_skips(monkeypatch: pytest.MonkeyPatch, code: int, outcome: type[Exception]) -> None:
    said = subprocess.CompletedProcess((), code, "", "W: apt\ntest-packages: OpenSSH's server is missing: do this\n")
    monkeypatch.setattr(packages, "_packages", lambda *_: said)
    with pytest.raises(outcome, match="test-packages: OpenSSH's server is missing: do this"):
        packages.packages("sshd")
