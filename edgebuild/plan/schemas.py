"""JSON Schemas of the files that people write, with the options of every step, device and metric there is."""

from __future__ import annotations

from typing import Any

from edgebuild.bundle.kind import KINDS
from edgebuild.spec.checked import schema
from edgebuild.spec.data import DATA
from edgebuild.spec.joining import ASSEMBLIES
from edgebuild.spec.model import ModelFile, PartLine
from edgebuild.spec.plugins import Registry
from edgebuild.spec.registry import DEVICES, GATES, STEPS, TASKS
from edgebuild.spec.source import SOURCES
from edgebuild.spec.space_tables import SpaceFile
from edgebuild.spec.tables import PolicyFile, RecipeFile, RecipeTable, TargetFile

_DRAFT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def target() -> dict[str, Any]:
    """The schema of a file in `targets/`."""
    document = schema(TargetFile)
    steps = {"type": "array", "items": _one_of(document, STEPS, "use")}
    table = schema(RecipeTable)
    document["$defs"] |= table.pop("$defs")
    table["properties"]["steps"] = steps
    named = {"type": "string", "description": "a recipe by name"}
    document["properties"]["recipe"] = {"anyOf": [steps, named, table], "default": []}
    document["properties"]["devices"]["items"] = _one_of(document, DEVICES, "transport")
    document["properties"]["packages"]["items"]["enum"] = KINDS.names()
    return _DRAFT | _with_metrics(document)


def policy() -> dict[str, Any]:
    """The schema of a file in `policies/`."""
    return _DRAFT | _with_metrics(schema(PolicyFile))


def recipe() -> dict[str, Any]:
    """The schema of a file in `recipes/`."""
    document = schema(RecipeFile)
    document["properties"]["steps"]["items"] = _one_of(document, STEPS, "use")
    return _DRAFT | document


def space() -> dict[str, Any]:
    """The schema of a file in `spaces/`; what an option may be is checked when the space is read."""
    document = schema(SpaceFile)
    for name in ("SpaceLine", "WayLine"):
        use = document["$defs"][name]["properties"]["use"]
        use.pop("type", None)
        use["anyOf"] = [{"enum": STEPS.names()}, *([{"type": "null"}] if name == "SpaceLine" else [])]
    return _DRAFT | _with_metrics(document)


def model() -> dict[str, Any]:
    """The schema of a `model.toml`."""
    document = schema(ModelFile)
    for owner in (document, document["$defs"]["Output"]):
        owner["properties"]["task"]["anyOf"][0]["enum"] = TASKS.names()
    table = _one_of(document, DATA, "use")
    document["properties"]["data"] = {"anyOf": [document["properties"]["data"]["oneOf"][0], table]}
    document["properties"]["source"] = {**_one_of(document, SOURCES, "use"), "default": None}
    document["properties"]["assembly"] = {**_assembly(document), "default": None}
    alone = [name for name in document["required"] if name != "description"]
    document |= {"required": ["description"], "anyOf": [{"required": alone}, {"required": ["base"]}]}
    return _DRAFT | document


def _assembly(document: dict[str, Any]) -> dict[str, Any]:
    """The table of an assembly: the options of its kind, and its parts."""
    table, part = _one_of(document, ASSEMBLIES, "use"), schema(PartLine)
    for choice in table["oneOf"]:
        choice["properties"]["parts"] = {"type": "array", "items": part}
    return table


def _with_metrics(document: dict[str, Any]) -> dict[str, Any]:
    """The schema with the metrics that there are where a gate names one."""
    document["$defs"]["GateSpec"]["properties"]["metric"]["enum"] = GATES.names()
    return document


def _one_of(whole: dict[str, Any], registry: Registry[Any], key: str) -> dict[str, Any]:
    """A choice between the plug-ins of a registry, each with its own options beside the `key` that names it."""
    choices = []
    line = whole["$defs"].get("DeviceLine" if key == "transport" else "RecipeLine", {})
    shared = {name: text for name, text in line.get("properties", {}).items() if name != key}
    for name, kind in registry.usable().items():
        own = schema(kind)
        whole["$defs"] |= own.pop("$defs", {})
        properties = {key: {"const": name}} | shared | own.get("properties", {})
        choices.append(
            {
                "type": "object",
                "title": name,
                "properties": properties,
                "required": [key, *own.get("required", ())],
                "additionalProperties": False,
            }
        )
    return {"oneOf": choices}
