"""Reading a space of recipes: what it can express, and one line for every kind of mistake."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgebuild.spec.enumeration import every
from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import open_project
from edgebuild.spec.space import Choices, Range, Space, text
from edgebuild.spec.spaces import read_space
from tests import ROOT

GOOD = """\
description = "a space"
[[steps]]
use = "prune_channels"
optional = true
ratio = { from = 0.25, to = 0.75, step = 0.25 }
schedule = { kind = "iterative", epochs = 1, rounds = { choices = [2, 3] } }
[[steps]]
use = "distill"
when = ["prune_channels.ratio >= 0.5"]
epochs = 10
[[steps]]
name = "numbers"
[[steps.one_of]]
use = "int8"
calibrator = { choices = ["minmax", "entropy"] }
[[steps.one_of]]
use = "float16"
"""


def read(folder: Path, text: str) -> Space:
    file = folder / "mine.toml"
    file.write_text(text)
    return read_space(file, "spaces/mine.toml")


def drawn(space: Space, **values: Any) -> str:
    """The recipe with these values (`a__b` for the dimension `a.b`), the first of each where nothing is said."""
    given = {name.replace("__", "."): value for name, value in values.items()}
    return text(space.recipe(lambda name, domain: given.get(name, (domain.every() or [None])[0])))


def test_a_space_names_steps_choices_ranges_conditions_and_ways(tmp_path: Path) -> None:
    space = read(tmp_path, GOOD)
    assert space.dimensions() == {
        "prune_channels": Choices((False, True)),
        "prune_channels.ratio": Range(0.25, 0.75, 0.25),
        "prune_channels.schedule.rounds": Choices((2, 3)),
        "numbers.use": Choices(("int8", "float16")),
        "numbers.int8.calibrator": Choices(("minmax", "entropy")),
    }
    assert drawn(space, numbers__use="float16") == "float16"
    pruned = 'prune_channels ratio=0.25 schedule={"kind": "iterative", "epochs": 1, "rounds": 2}'
    assert drawn(space, prune_channels=True) == f"{pruned} → int8 calibrator=minmax"
    assert "→ distill epochs=10 →" in drawn(space, prune_channels=True, prune_channels__ratio=0.5)


def test_a_step_may_be_left_out_where_a_condition_holds(tmp_path: Path) -> None:
    space = read(tmp_path, GOOD + '[[steps]]\nuse = "encode"\nunless = ["numbers.calibrator == entropy"]\n')
    assert drawn(space).endswith("→ encode")
    assert drawn(space, numbers__int8__calibrator="entropy") == "int8 calibrator=entropy"
    assert drawn(space, numbers__use="float16").endswith("→ encode")


def test_the_order_of_steps_may_be_drawn_as_well(tmp_path: Path) -> None:
    text_ = GOOD.replace("[[steps]]", 'order = [["prune_channels", "distill"]]\n[[steps]]', 1)
    space = read(tmp_path, text_)
    told = drawn(space, prune_channels=True, prune_channels__ratio=0.75, **{"order[0]": "distill, prune_channels"})
    assert told.startswith("distill epochs=10 → prune_channels ratio=0.75")
    assert drawn(space, prune_channels=True, prune_channels__ratio=0.75).startswith("prune_channels ratio=0.75")


def test_a_countable_space_is_gone_through_once_and_another_is_not(tmp_path: Path) -> None:
    space = read(tmp_path, GOOD)
    recipes = every(space, 100)
    assert recipes is not None
    texts = [text(space.recipe(lambda name, domain, values=values: values[name])) for values in recipes]  # type: ignore[misc]
    assert (len(texts), len({*texts})) == (21, 21)  # (nothing + 3 ratios of 2 rounds) of 3 kinds of numbers
    assert every(space, 20) is None
    assert every(read(tmp_path, GOOD.replace(", step = 0.25", "")), 100) is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('use = "distill"', 'use = "distil"', "steps[1].use: unknown step 'distil' (did you mean 'distill'?"),
        ("epochs = 10", "epoch = 10", "steps[1]: unknown key 'epoch' (did you mean 'epochs'?"),
        ("epochs = 10", "epochs = 0", "steps[1].epochs: input should be greater than or equal to 1, got 0"),
        ("epochs = 10", "epochs = {choices = [10, 0]}", "steps[1].epochs: input should be greater than or equal to 1"),
        ("to = 0.75", "to = 1.75", "steps[0].ratio: input should be less than 1, got 1.75"),
        ("to = 0.75", "to = 0.25", "steps[0].ratio: a range goes up, and from 0.25 to 0.25 does not"),
        ("step = 0.25", "steps = 0.25", "steps[0].ratio: unknown key 'steps' (did you mean 'step'?"),
        ('["minmax", "entropy"]', "[]", "steps[2].one_of[0].calibrator.choices: must be a list of one value or more"),
        ('["minmax", "entropy"]', '["mimmax"]', "steps[2].one_of[0].calibrator: input should be 'minmax'"),
        ('["minmax", "entropy"]', '["mse", "mse"]', "steps[2].one_of[0].calibrator.choices: names a value twice"),
        ("[2, 3]", "[2, 0]", "steps[0].schedule.rounds: "),
        (".ratio >= 0.5", ".ratoi >= 0.5", "steps[1].when[0]: 'prune_channels' is given no 'ratoi' here (did you"),
        (
            "prune_channels.ratio >=",
            "prune.ratio >=",
            "steps[1].when[0]: no step 'prune' comes before this one (",
        ),
        (".ratio >= 0.5", ".ratio about 0.5", "is no condition (a step's name, or an option of it as in"),
        ('name = "numbers"', 'name = "distill"', "steps[2]: two steps are called 'distill' (give this one a `name`"),
        ('name = "numbers"', 'use = "int8"', "steps[2]: a place has either a step in use, or several in one_of"),
        ('use = "float16"', 'use = "int8"', "steps[2]: one_of names a step twice"),
        (
            '"a space"',
            '"a space"\norder = [["distill", "distil"]]',
            "order[0]: there is no step 'distil' (",
        ),
        ('"a space"', '"a space"\nsampler = "tpa"', "sampler: input should be 'tpe' or 'nsga2', got \"tpa\""),
        ('"a space"', '"a space"\nstarts = [{ratio = 1}]', "starts[0]: no dimension 'ratio'"),
        (
            '"a space"',
            '"a space"\nstarts = [{"prune_channels.ratio" = 0.3}]',
            "0.3 is no value of 'prune_channels.",
        ),
        (
            '"a space"',
            '"a space"\ngoals = [{metric = "sise", limit = "1 MB"}]',
            "goals[0].metric: unknown metric",
        ),
        ('"a space"', '"a space"\ngoals = [{metric = "size", limit = "1"}]', "goals[0].limit: '1' has no unit"),
        ('"a space"', '"a space"\nfits = {tasks = ["boxes"]}', "fits.tasks: unknown task 'boxes'"),
    ],
)
def test_a_mistake_ends_in_one_line_with_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert caught.value.line.startswith("spaces/mine.toml: ")
    assert told in caught.value.line


def test_a_space_is_found_by_name_or_file_and_the_nearest_name_is_told(tmp_path: Path) -> None:
    project = open_project(ROOT)
    assert {"module", "file", "values"} <= {*project.space_files()}
    (tmp_path / "mine.toml").write_text(GOOD)
    assert project.space(str(tmp_path / "mine.toml")).name == "mine"
    with pytest.raises(UsageError, match=r"--space: unknown space 'modul' \(.*did you mean 'module'"):
        project.space("modul")


def narrowest(trainable: bool, task: str) -> str:
    project = open_project(ROOT)
    spaces = [project.space(name) for name in project.space_files()]
    fitting = [space for space in spaces if space.fits.of(trainable=trainable, tasks={task})]
    return max(fitting, key=lambda space: space.fits.narrow).name


@pytest.mark.parametrize(
    ("trainable", "task", "name"),
    [(True, "classification", "module"), (True, "detection", "values"), (False, "regression", "file")],
)
def test_every_kind_of_model_has_a_usual_space(trainable: bool, task: str, name: str) -> None:
    assert narrowest(trainable, task) == name


@pytest.mark.parametrize("name", ["module", "file", "values"])
def test_all_that_a_shipped_space_expresses_are_recipes_of_its_steps(name: str) -> None:
    space = open_project(ROOT).space(name)
    recipes = every(space, 20_000)
    assert recipes is not None
    assert len(recipes) > 50
    used = {step.use for values in recipes for step in space.recipe(_from(values)).steps}
    assert used == {way.use for line in space.lines for way in line.ways}


def _from(values: Mapping[str, Any]) -> Any:
    return lambda name, domain: values[name]
