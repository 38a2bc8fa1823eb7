"""Where targets and models are found, and what is said when they are not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import open_project
from tests import ROOT

TINY = Path(__file__).parent.parent / "models" / "tiny"


def test_a_project_without_files_has_the_built_in_targets_and_digits(tmp_path: Path) -> None:
    project = open_project(tmp_path)
    assert {"rpi4", "mobile-cpu", "server-gpu", "host"} <= set(project.target_files())
    named = ["activity", "detector", "digits", "digits_cascade", "imagenet", "sentence", "speech"]
    assert list(project.model_folders()) == named
    assert [model.name for model in project.models()] == ["digits"]  # the others want to be named
    assert [model.name for model in project.models(["activity", "digits", "activity"])] == ["activity", "digits"]
    assert project.model("digits").declared.builder == "build"


@pytest.mark.parametrize("place", ["project", "store"])
def test_a_name_that_is_not_utf_8_is_refused_before_a_runtime_or_a_document_fails_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    if place == "store":
        monkeypatch.setenv("EDGEBUILD_STORE", str(odd))
    with pytest.raises(UsageError, match="has a name that is not UTF-8"):
        open_project(odd if place == "project" else tmp_path)


def test_a_target_of_the_project_hides_the_built_in_one_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    mine = (ROOT / "targets" / "rpi4.toml").read_text().replace("Raspberry Pi 4 Model B, 4 GB", "mine")
    (tmp_path / "targets" / "rpi4.toml").write_text(mine)
    project = open_project(tmp_path)
    assert project.target("rpi4").description == "mine"
    assert project.target("rpi4").file == "targets/rpi4.toml"
    assert project.target("host").description != "mine"


def test_a_project_with_models_of_its_own_does_not_have_digits(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "models" / "tiny")
    (tmp_path / "models" / "empty").mkdir()
    project = open_project(tmp_path)
    assert list(project.model_folders()) == ["tiny"]
    assert project.model("tiny").file == "models/tiny/model.toml"
    with pytest.raises(UsageError, match="unknown model 'digits' \\(known: tiny\\)"):
        project.model("digits")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    project = open_project(tmp_path)
    with pytest.raises(UsageError) as caught:
        project.target("rpi44")
    assert caught.value.line.startswith("unknown target 'rpi44' (did you mean 'rpi4'? known: ")
    with pytest.raises(UsageError, match="did you mean 'digits'"):
        project.model("digit")


def test_a_mistake_in_a_file_outside_the_project_is_shown_with_its_whole_path(tmp_path: Path) -> None:
    project = open_project(tmp_path)
    assert project.shown(tmp_path / "targets" / "a.toml") == "targets/a.toml"
    assert project.shown(Path("/elsewhere/a.toml")) == "/elsewhere/a.toml"


def test_the_store_may_be_placed_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEBUILD_STORE", raising=False)
    assert open_project(tmp_path).store == tmp_path / ".edgebuild"
    monkeypatch.setenv("EDGEBUILD_STORE", str(tmp_path / "big disk"))
    assert open_project(tmp_path).store == tmp_path / "big disk"
    assert open_project(tmp_path).dist == tmp_path / "dist"


def test_a_models_own_recipe_goes_with_what_it_is_made_of(tmp_path: Path) -> None:
    """A based model has its base's, unless it comes from elsewhere; a part of an assembly has its model's."""
    shutil.copytree(TINY, tmp_path / "models" / "tiny")
    declared = tmp_path / "models" / "tiny" / "model.toml"
    declared.write_text('recipe = "int8"\n' + declared.read_text())
    others = {
        "same": 'base = "tiny"',
        "trained": 'base = "tiny"\nbuilder = "build"',
        "own": 'base = "tiny"\nrecipe = "qat"',
        "wrong": 'base = "tiny"\nrecipe = "int9"',
        "both": 'base = "tiny"\n[assembly]\nuse = "average"\nparts = [{ model = "tiny" }, { recipe = "qat" }, {}]',
    }
    for name, text in others.items():
        (tmp_path / "models" / name).mkdir()
        (tmp_path / "models" / name / "model.toml").write_text(f'description = "x"\n{text}\n')
    project = open_project(tmp_path)
    names = {name: project.recipe_of(project.model(name)).name for name in ("tiny", "same", "trained", "own")}
    assert names == {"tiny": "int8", "same": "int8", "trained": "balanced", "own": "qat"}
    with pytest.raises(UsageError, match="models/wrong/model.toml: recipe: unknown recipe 'int9'"):
        project.recipe_of(project.model("wrong"))
    of_parts = [part.recipe and part.recipe.name for part in project.model("both").parts]
    assert of_parts == ["int8", "qat", None]
