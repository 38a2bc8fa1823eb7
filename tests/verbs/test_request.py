"""Which recipe of a choice is planned: past those of which a step does not take the model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import Project, open_project
from edgebuild.verbs.request import Request, Revised, planned
from tests import tiny

PLACE = "board", "tiny"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The tiny model, and a target whose recipe is a choice of which the first and the last cannot be planned."""
    shutil.copytree(tiny.MODELS / "tiny", tmp_path / "models" / "tiny")
    recipes = {
        "unreal": 'steps = [{use = "int8", io = "int8"}]',
        "half": 'steps = [{use = "float16"}]',
        "choice": 'first_of = ["unreal", "half", "unreal"]',
        "none": 'first_of = ["unreal", "unreal"]',
    }
    (tmp_path / "recipes").mkdir()
    for name, line in recipes.items():
        (tmp_path / "recipes" / f"{name}.toml").write_text(f'description = "One"\n{line}\n')
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "board.toml").write_text(
        'description = "A board"\nhardware = {arch = "x86_64", cpu = "x"}\nruntimes = [{format = "onnx"}]\n'
        'devices = [{transport = "local"}]\ngates = [{metric = "size", limit = "50 %"}]\nrecipe = "choice"\n'
    )
    return open_project(tmp_path)


def test_what_cannot_be_planned_is_passed_over_as_what_a_step_refuses(project: Project) -> None:
    revised, request = Revised(), Request(project, ("board",))
    with planned(request, revised) as (_, plan):
        (product,) = plan.products
        assert [stage.name for stage in product.chains[0].stages] == ["float16"]
        (line,) = [notice for notice in plan.notices if "is tried" in notice]
    assert line.startswith("board/tiny: 'int8' cannot be had on onnx with these options: a file has nowhere to say")
    assert line.endswith(": the recipe half is tried")

    revised.judged[PLACE], revised.recipes[PLACE] = product.recipe, product.recipe.otherwise
    with planned(request, revised) as (_, plan):
        (product,) = plan.products
        assert [stage.name for stage in product.chains[0].stages] == ["float16"]
        assert any("no other recipe is left, and the verdict on the one before stands" in one for one in plan.notices)
    assert product.recipe.otherwise is None


def test_where_none_can_be_planned_the_last_says_why(project: Project) -> None:
    with (
        pytest.raises(UsageError, match="'int8' cannot be had on onnx with these options"),
        planned(Request(project, ("board",), recipe="none")),
    ):
        pass
