"""Reads targets, recipes, policies and models from TOML."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgebuild.spec import tasks
from edgebuild.spec.checked import check, placed
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelFile, ModelSpec, PartLine
from edgebuild.spec.names import suggest
from edgebuild.spec.tables import PolicyFile, RecipeFile, RecipeLine, RecipeTable, TargetFile
from edgebuild.spec.target import SEARCHED, DeviceSpec, Policy, Recipe, StepSpec, Target


def read_toml(path: Path, shown: str) -> dict[str, Any]:
    """The tables of a TOML file; UsageError with the line where it is not TOML, not UTF-8 or not readable."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8 at byte {error.start}", file=shown) from None
    except RecursionError:
        raise UsageError("nested too deeply", file=shown) from None
    except ValueError as error:  # TOMLDecodeError, and what Python says of numbers with thousands of digits
        raise UsageError(f"not valid TOML: {error}", file=shown) from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=shown) from None


def read_target(path: Path, shown: str, recipes: Callable[[str], Recipe] | None = None) -> Target:
    """The target that the file declares; UsageError with file, key and reason when it does not.

    `recipes` finds a recipe by its name, for files that name one; one that says nothing of a recipe takes what the last
    search has come to.
    """
    content = read_toml(path, shown)
    recipe = _recipe(content.get("recipe", [] if recipes is None else SEARCHED), shown, recipes)
    declared = check(TargetFile, content | ({"recipe": []} if recipe else {}), file=shown)
    devices = tuple(
        DeviceSpec(line.transport, line.measures, line.model_extra or {}, f"devices[{i}]")
        for i, line in enumerate(declared.devices)
    )
    return Target(
        name=path.stem,
        description=declared.description,
        hardware=declared.hardware,
        runtimes=declared.runtimes,
        recipe=recipe or Recipe(_steps(declared.recipe, "recipe", shown)),
        devices=devices,
        gates=declared.gates,
        timing=declared.timing,
        file=shown,
        regressions=declared.regressions,
        fidelity=declared.fidelity,
        policy=declared.policy or not declared.gates,
        packages=declared.packages,
    )


def read_recipe(path: Path, shown: str, recipes: Callable[[str], Recipe] | None = None) -> Recipe:
    """The recipe that a file in `recipes/` declares; UsageError with file, key and reason when it does not.

    `recipes` finds those that it is the first of; None: it may be none that names others.
    """
    declared = check(RecipeFile, read_toml(path, shown), file=shown)
    if declared.first_of is None:
        steps = _steps(declared.steps or (), "steps", shown)
        return Recipe(steps, declared.drop_useless, path.stem, declared.description)
    if recipes is None:
        raise UsageError("stands in another's first_of, and is a choice itself", file=shown, key="first_of")
    chain: Recipe | None = None
    for number, name in reversed([*enumerate(declared.first_of)]):
        named, failed = recipes(name), declared.first_of[:number]
        dropped = named.drop_useless or declared.drop_useless
        chain = dataclasses.replace(named, drop_useless=dropped, otherwise=chain, failed=failed)
    assert chain is not None  # the table has at least two names
    return dataclasses.replace(chain, name=path.stem, description=declared.description)


def read_policy(path: Path, shown: str) -> Policy:
    """The policy that a file declares; UsageError with file, key and reason when it does not."""
    return Policy(check(PolicyFile, read_toml(path, shown), file=shown).gates, shown)


def _recipe(declared: Any, shown: str, recipes: Callable[[str], Recipe] | None) -> Recipe | None:
    """A recipe that is given as a name or a table; None for a list of steps, or for what is none of them."""
    if isinstance(declared, str):
        declared = {"use": declared}
    if not isinstance(declared, dict):
        return None
    table = check(RecipeTable, declared, file=shown, prefix="recipe")
    if table.use is None:
        return Recipe(_steps(table.steps or (), "recipe.steps", shown), table.drop_useless)
    if recipes is None:
        raise UsageError(f"no recipe {table.use!r} can be found here", file=shown, key="recipe")
    named = recipes(table.use)
    return dataclasses.replace(named, drop_useless=named.drop_useless or table.drop_useless)


def _steps(lines: tuple[RecipeLine, ...], key: str, shown: str) -> tuple[StepSpec, ...]:
    return tuple(StepSpec(line.use, line.model_extra or {}, f"{key}[{i}]", shown) for i, line in enumerate(lines))


def read_model(folder: Path, shown: str) -> ModelSpec:
    """The model that `folder/model.toml` declares; UsageError with file, key and reason when it does not.

    What it leaves open is as its `base`, a model of a folder beside it, says; where that has a folder of code and data,
    so has this one. The parts of an assembly are not looked for.
    """
    table, home = read_toml(folder / "model.toml", shown), folder
    if isinstance(name := table.get("base"), str):
        home = folder.parent / (name if Path(name).name == name else "")
        table = _based(table, home, name, shown)
    declared = check(ModelFile, table, file=shown)
    try:
        tasks.check(declared.answers, smoothed=declared.smooths)
    except UsageError as error:
        raise placed(error, shown) from None
    return ModelSpec(name=folder.name, folder=home, file=shown, declared=declared)


def is_built_by_name_alone(folder: Path, shown: str) -> bool:
    """Whether `folder/model.toml` says so, without checking what else it says; UsageError where it is no TOML."""
    return read_toml(folder / "model.toml", shown).get("by_name") is True


# What a base says of itself alone.
_OWN = ("description", "by_name", "budgets", "assembly", "base")
# Where a model comes from: who says one of these takes none of the base's.
_ORIGIN = ("builder", "source", "weights")
# And what goes with that: a recipe for a file is none for a network.
_BY_ORIGIN = (*_ORIGIN, "recipe")


def _based(table: dict[str, Any], home: Path, base: str, shown: str) -> dict[str, Any]:
    """The tables of a model with those of its base where it has none; UsageError for what can be no base."""
    if not (home / "model.toml").is_file():
        models = home.parent if home.name == base else home
        beside = [path.parent.name for path in sorted(models.glob("*/model.toml"))]
        raise UsageError(f"there is no model {base!r}", file=shown, key="base", hint=suggest(base, beside))
    of_base = str(Path(shown).parent.parent / home.name / "model.toml")
    inherited = read_toml(home / "model.toml", of_base)
    if "base" in inherited or "assembly" in inherited:
        what = "has a base of its own" if "base" in inherited else "is an assembly"
        raise UsageError(f"{home.name!r} {what}: take the model that it is made of", file=shown, key="base")
    check(ModelFile, inherited, file=of_base)
    unsaid = (*_OWN, *(_BY_ORIGIN if any(name in table for name in _ORIGIN) else ()))
    return {name: value for name, value in inherited.items() if name not in unsaid} | table


def read_parts(model: ModelSpec) -> tuple[PartLine, ...]:
    """The lines of an assembly's parts; UsageError for the first mistake. None for a model of one part."""
    lines = (model.declared.assembly or {}).get("parts", [])
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise UsageError("must be a list of tables", file=model.file, key="assembly.parts")
    return tuple(
        check(PartLine, line, file=model.file, prefix=f"assembly.parts[{number}]") for number, line in enumerate(lines)
    )
