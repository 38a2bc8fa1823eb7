"""The program that is shipped, loaded as it is."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from edgebuild import travels

RUN = travels.file(travels.BUNDLE_RUNNER)


@pytest.fixture(scope="session")
def program() -> ModuleType:
    """`run.py` as a module."""
    spec = importlib.util.spec_from_file_location("shipped_run", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
