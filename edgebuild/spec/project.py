"""Where targets and models are found: the user's own folders first, then those in the wheel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import is_built_by_name_alone, read_model, read_parts, read_policy, read_recipe, read_target
from edgebuild.spec.model import ModelSpec, PartSpec
from edgebuild.spec.names import spelled, suggest
from edgebuild.spec.target import SEARCHED, USUAL, Policy, Recipe, Target

if TYPE_CHECKING:
    from edgebuild.spec.space import Space

__all__ = ["Project", "open_project", "suggest"]

_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with `targets/` and `models/`, where the store is, and where bundles go."""

    root: Path
    store: Path
    dist: Path

    def target_files(self) -> dict[str, Path]:
        """Every target by name; a file of the project hides a built-in one of the same name."""
        built_in = {path.stem: path for path in sorted(_built_in("targets").glob("*.toml"))}
        return built_in | {path.stem: path for path in sorted((self.root / "targets").glob("*.toml"))}

    def target(self, name: str) -> Target:
        """The target with this name; UsageError with the nearest names when there is none."""
        files = self.target_files()
        if name not in files:
            raise UsageError(f"unknown target {name!r}", hint=suggest(name, files))
        shown = self.shown(files[name])
        return read_target(files[name], shown, lambda recipe: self.recipe(recipe, file=shown, key="recipe"))

    def recipe_files(self) -> dict[str, Path]:
        """Every recipe by name; a file of the project hides a built-in one of the same name."""
        built_in = {path.stem: path for path in sorted(_built_in("recipes").glob("*.toml"))}
        return built_in | {path.stem: path for path in sorted((self.root / "recipes").glob("*.toml"))}

    def recipe(self, name: str, *, file: str | None = None, key: str | None = None) -> Recipe:
        """The recipe with this name; UsageError with the nearest names when there is none.

        That of a search is the usual one until it is known which model it is for.
        """
        files = self.recipe_files()
        if name == SEARCHED and name not in files:
            return replace(self.recipe(USUAL), name=SEARCHED)
        if name not in files:
            hint = suggest(name, [*files, SEARCHED])
            raise UsageError(f"unknown recipe {name!r}", file=file, key=key, hint=hint)
        return read_recipe(files[name], self.shown(files[name]), self._alternative(name))

    def recipe_of(self, model: ModelSpec) -> Recipe:
        """The recipe for a model where neither a target nor a search says one; UsageError where it is unknown."""
        return self.recipe(model.declared.recipe or USUAL, file=model.file, key="recipe")

    def _alternative(self, choice: str) -> Callable[[str], Recipe]:
        """Finds the recipes that the file of a choice names: each a file with steps."""

        def find(name: str) -> Recipe:
            files, file = self.recipe_files(), self.shown(self.recipe_files()[choice])
            if name not in files:
                raise UsageError(f"unknown recipe {name!r}", file=file, key="first_of", hint=suggest(name, files))
            return read_recipe(files[name], self.shown(files[name]))

        return find

    def space_files(self) -> dict[str, Path]:
        """Every space of recipes by name; a file of the project hides a built-in one of the same name."""
        built_in = {path.stem: path for path in sorted(_built_in("spaces").glob("*.toml"))}
        return built_in | {path.stem: path for path in sorted((self.root / "spaces").glob("*.toml"))}

    def space(self, name: str) -> Space:
        """The space with this name, or in this file; UsageError with the nearest names when there is none."""
        from edgebuild.spec.spaces import read_space

        files, file = self.space_files(), Path(name)
        if name in files:
            return read_space(files[name], self.shown(files[name]))
        if file.suffix == ".toml" or file.is_file():
            return read_space(file, self.shown(file.absolute()))
        raise UsageError(f"unknown space {name!r}", key="--space", hint=f"a file, or a name: {suggest(name, files)}")

    def policy_file(self) -> Path:
        """What says what every release must prove: the project's own `policies/default.toml`, else the built-in one."""
        own, ours = (folder / "default.toml" for folder in (self.root / "policies", _built_in("policies")))
        return own if own.is_file() else ours

    def policy(self) -> Policy:
        """What every release must prove."""
        path = self.policy_file()
        return read_policy(path, self.shown(path))

    def model_folders(self) -> dict[str, Path]:
        """Every model by name: the folders with a `model.toml`."""
        built_in = {path.parent.name: path.parent for path in sorted(_built_in("models").glob("*/model.toml"))}
        own = {path.parent.name: path.parent for path in sorted((self.root / "models").glob("*/model.toml"))}
        return own or built_in

    def models(self, named: Sequence[str] = ()) -> list[ModelSpec]:
        """Those that are named; where none is, all but those that are built by name alone."""
        return [self.model(name) for name in dict.fromkeys(named or self._built_unasked())]

    def _built_unasked(self) -> list[str]:
        """Those that are not built by name alone, whose files are only looked into."""
        folders = self.model_folders()
        shown = {name: self.shown(folder / "model.toml") for name, folder in folders.items()}
        return [name for name, folder in folders.items() if not is_built_by_name_alone(folder, shown[name])]

    def model(self, name: str) -> ModelSpec:
        """The model with this name; UsageError with the nearest names when there is none."""
        model = self._with_members(self._declared(name))
        return replace(model, parts=tuple(self._parts(model)))

    def _with_members(self, model: ModelSpec) -> ModelSpec:
        """With the models that it is made of; UsageError for an unknown one, and for one that has members itself."""
        members = []
        for number, name in enumerate(model.declared.members):
            key = f"source.members[{number}]"
            member = self._declared(name, file=model.file, key=key)
            what = (
                "is an assembly" if member.declared.assembly else "is made of others" if member.declared.members else ""
            )
            if what:
                raise UsageError(f"{name!r} {what}: name these", file=model.file, key=key)
            members.append(member)
        return replace(model, members=tuple(members))

    def _declared(self, name: str, *, file: str | None = None, key: str | None = None) -> ModelSpec:
        folders = self.model_folders()
        if name not in folders:
            raise UsageError(f"unknown model {name!r}", file=file, key=key, hint=suggest(name, folders))
        return read_model(folders[name], self.shown(folders[name] / "model.toml"))

    def _parts(self, model: ModelSpec) -> Iterator[PartSpec]:
        """The parts of an assembly; UsageError for an unknown model or recipe, and for an assembly of assemblies."""
        used = set[str]()
        for number, line in enumerate(read_parts(model)):
            key = f"assembly.parts[{number}]"
            part = replace(model, declared=replace(model.declared, assembly=None))
            if line.model is not None:
                part = self._with_members(self._declared(line.model, file=model.file, key=f"{key}.model"))
            if part.declared.assembly is not None:
                reason = f"{part.name!r} is an assembly: name its parts here"
                raise UsageError(reason, file=model.file, key=f"{key}.model")
            recipe = self.recipe_of(part) if line.model and part.declared.recipe else None
            if line.recipe:
                recipe = self.recipe(line.recipe, file=model.file, key=f"{key}.recipe")
            name = line.name or line.recipe or line.model or f"part{number}"
            if name in used:
                raise UsageError(f"two parts are called {name!r}", file=model.file, key=key, hint="give each a name")
            used.add(name)
            yield PartSpec(name, part, recipe, key)

    @property
    def state(self) -> Path:
        """Where is kept what a project remembers and no build can make again."""
        return self.root / ".edgebuild"

    def shown(self, path: Path) -> str:
        """`path` as messages show it: relative to the project where it lies inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def open_project(root: Path, dist: Path | None = None) -> Project:
    """The project in `root`; EDGEBUILD_STORE names another place for the store. UsageError for names of either that
    are not UTF-8.
    """
    root = spelled(root.resolve())
    store = spelled(Path(os.environ.get("EDGEBUILD_STORE") or root / ".edgebuild"))
    return Project(root=root, store=store, dist=(dist or root / "dist").absolute())


def _built_in(folder: str) -> Path:
    """A data folder of the product: inside the package in a wheel, beside it in a checkout."""
    inside = _PACKAGE / "_data" / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder
