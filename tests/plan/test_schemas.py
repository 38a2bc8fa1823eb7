"""The JSON Schemas say the same as the reader: they accept what is shipped and refuse what it refuses."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edgebuild.plan import schemas
from tests import ROOT

FILES = [
    *ROOT.glob("targets/*.toml"),
    *ROOT.glob("recipes/*.toml"),
    *ROOT.glob("policies/*.toml"),
    *ROOT.glob("spaces/*.toml"),
]
FILES += [*ROOT.glob("models/*/model.toml"), *ROOT.glob("tests/models/*/model.toml")]
Change = Callable[[dict[str, Any]], object]


def validator(path: Path) -> Draft202012Validator:
    kinds = {"targets": schemas.target, "recipes": schemas.recipe, "policies": schemas.policy, "spaces": schemas.space}
    return Draft202012Validator(kinds.get(path.parent.name, schemas.model)())


@pytest.mark.parametrize("schema", [schemas.target, schemas.model, schemas.recipe, schemas.space, schemas.policy])
def test_it_is_a_valid_json_schema(schema: Callable[[], dict[str, Any]]) -> None:
    Draft202012Validator.check_schema(schema())
    assert schema() == schema()  # nothing that it is made of is changed by making it


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_there_is_agrees_with_it(path: Path) -> None:
    data = tomllib.loads(path.read_text())
    assert [error.message for error in validator(path).iter_errors(data)] == []


BROKEN: dict[str, Change] = {
    "unknown key": lambda t: t.update(recipes=[]),
    "missing key": lambda t: t.pop("description"),
    "text for a number": lambda t: t["hardware"].update(cores="4"),
    "unknown step": lambda t: t["recipe"][0].update(use="int9"),
    "unknown option": lambda t: t["recipe"][0].update(ratoi=0.5),
    "wrong option": lambda t: t["recipe"][0].update(ratio="0.5"),
    "out of range": lambda t: t["recipe"][0].update(ratio=1.5),
    "step without name": lambda t: t["recipe"][0].pop("use"),
    "unknown transport": lambda t: t["devices"][0].update(transport="smoke"),
    "unknown metric": lambda t: t["gates"][0].update(metric="beauty"),
    "gate without limit": lambda t: t["gates"][0].pop("limit"),
    "unknown fidelity": lambda t: t["fidelity"].update(latency="sharp"),
    "number for a quantity": lambda t: t["hardware"].update(ram=4),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_target_is_refused(kind: str) -> None:
    path = ROOT / "targets" / "rpi4.toml"
    data = copy.deepcopy(tomllib.loads(path.read_text()))
    data |= {"recipe": [{"use": "prune_channels", "ratio": 0.5}], "gates": [{"metric": "size", "limit": "1 MiB"}]}
    assert validator(path).is_valid(data)
    BROKEN[kind](data)
    assert not validator(path).is_valid(data)


@pytest.mark.parametrize("change", [{"epochs": 2}, {"labels": ["one"]}, {"training": {"epochs": 0}}, {"inputs": []}])
def test_a_broken_model_is_refused(change: dict[str, Any]) -> None:
    path = ROOT / "models" / "digits" / "model.toml"
    assert not validator(path).is_valid(tomllib.loads(path.read_text()) | change)
