"""Fewer resamples, where a test draws many bootstraps."""

from __future__ import annotations

import pytest

from edgebuild.gates.statistics import bootstrap


def resamples(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let a bootstrap draw this often."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", count)
