"""The program that is shipped, loaded as it is."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from edgebuild import travels

IMAGES = travels.file("prepare_image.py")


@pytest.fixture(scope="session")
def program() -> ModuleType:
    """What a bundle's `run.py` prepares pictures with, as a module."""
    spec = importlib.util.spec_from_file_location("shipped_images", IMAGES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
