"""`edgebuild search` on the tiny model: finds, rejects with reasons, goes on, and builds take what it found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.conftest import Ran, Workspace

SPACE = """\
description = "a few"
[[steps]]
use = "remove_blocks"
optional = true
[[steps]]
use = "prune_channels"
optional = true
ratio = 0.5
[[steps]]
use = "distill"
when = ["prune_channels"]
epochs = 6
[[steps]]
name = "numbers"
[[steps.one_of]]
use = "int8"
[[steps.one_of]]
use = "float16"
[[starts]]
remove_blocks = true
prune_channels = false
"numbers.use" = "int8"
[[starts]]
remove_blocks = false
prune_channels = false
"numbers.use" = "int8"
[[starts]]
remove_blocks = false
prune_channels = true
"numbers.use" = "int8"
[[starts]]
remove_blocks = false
prune_channels = true
"numbers.use" = "float16"
"""


def search(workspace: Workspace, *more: str) -> Ran:
    return workspace.run("search", "--target", "board", "--space", "few.toml", *more)


@pytest.fixture(scope="module")
def searched(fresh: Callable[[], Workspace], built: Workspace) -> tuple[Workspace, Ran]:
    """A project that has been searched; tests must not change its result."""
    workspace = fresh()
    (workspace.root / "few.toml").write_text(SPACE)
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', "")  # one format takes half the time
    return workspace, search(workspace, "--json")


def test_every_recipe_has_what_became_of_it_and_the_best_is_told(searched: tuple[Workspace, Ran]) -> None:
    workspace, ran = searched
    assert ran.code == 0, ran.err
    told = ran.document
    assert (told["ended"], told["size"]) == ("every recipe of the space was tried", 8)
    became = {trial["number"]: (trial["rung"], trial["status"]) for trial in told["trials"]}
    by_recipe = {
        tuple(step["use"] for step in trial["steps"]): (*became[trial["number"]], trial["reason"])
        for trial in told["trials"]
    }
    pruned = {became[1]: became[0] for steps, became in by_recipe.items() if steps[0] == "prune_channels"}
    assert pruned.keys() == {"behind", "passes"}  # which of the two, and how far the other came, is this machine's time
    assert pruned["passes"] == "whole"
    assert by_recipe["int8",][:2] == ("whole", "passes")
    assert by_recipe["float16",][0] == "bounded"
    assert "size '-60 %'" in by_recipe["float16",][2]
    assert told["front"][0]["recipe"].startswith("prune_channels ratio=0.5 → distill epochs=6 → ")
    assert told["taken"] == told["front"][0]["number"]
    assert told["from_store"] > 0.5
    page = (workspace.root / ".edgebuild" / "search" / "board" / "tiny" / "plot.html").read_text()
    assert "<svg" in page
    assert "size -60 %" in page


def test_a_step_that_refuses_what_comes_to_it_is_tried_once_whatever_follows(searched: tuple[Workspace, Ran]) -> None:
    _, ran = searched
    trials = ran.document["trials"]
    assert len(trials) == 5  # of eight recipes
    (refused,) = [trial for trial in trials if trial["steps"][0]["use"] == "remove_blocks"]
    assert (refused["rung"], refused["status"]) == ("counted", "rejected")
    assert "remove_blocks" in refused["reason"]


def test_it_says_how_far_it_is_and_the_best_so_far(searched: tuple[Workspace, Ran]) -> None:
    _, ran = searched
    assert "5 of 200 recipes, " in ran.err
    assert "; best #" in ran.err


def test_a_second_run_goes_on_where_the_first_ended_and_runs_nothing(searched: tuple[Workspace, Ran]) -> None:
    workspace, ran = searched
    again = search(workspace, "--json")
    assert again.code == 0, again.err
    assert again.document["trials"] == ran.document["trials"]
    assert again.document["ended"] == "every recipe of the space was tried"


def test_what_it_found_is_printed_again(searched: tuple[Workspace, Ran]) -> None:
    workspace, _ = searched
    shown = workspace.run("search", "--target", "board", "--show")
    assert shown.code == 0
    assert "worth having, tiny for board" in shown.out
    assert "--apply" in shown.out
    assert "nothing has looked at the test examples" in shown.out


def test_a_trial_is_built_like_any_recipe_and_taken_from_then_on(searched: tuple[Workspace, Ran]) -> None:
    workspace, ran = searched
    numbers = {len(trial["steps"]): trial["number"] for trial in ran.document["trials"] if trial["status"] == "passes"}
    applied = workspace.run("search", "--target", "board", "--apply", str(numbers[1]), "--json")
    assert applied.code == 0, applied.err
    assert applied.document["status"] == "pass"
    names = [step["step"] for step in applied.document["bundles"][0]["formats"]["onnx"]["evidence"]["proof"]["steps"]]
    assert names == ["int8"]
    target = workspace.root / "targets" / "board.toml"
    lines = target.read_text()
    kept = lines.partition("[[recipe]]")[0] + "[[devices]]" + lines.partition("[[devices]]")[2]
    target.write_text(kept)  # a target without a recipe
    taken = workspace.run("--target", "board", "--json")
    assert taken.code == 0, taken.err
    assert any(f"number {numbers[1]} of the last search: int8" in notice for notice in taken.document["notices"])
    assert taken.document["ran"] == []
    target.write_text(kept.replace('"3 pp"', '"4 pp"'))
    again = workspace.run("search", "--target", "board", "--apply", str(numbers[1]), "--json")
    steps = again.document["bundles"][0]["formats"]["onnx"]["evidence"]["proof"]["steps"]
    assert [step["step"] for step in steps] == ["int8"]  # what is applied is applied, whatever the gates are now
    planned = workspace.run("plan", "--target", "board", "--json")
    assert any("prune_channels" in step["step"] for step in planned.document["steps"])  # other gates: balanced
    target.write_text(lines)


def test_points_are_built_from_the_safest_on_until_one_does_not_pass(searched: tuple[Workspace, Ran]) -> None:
    workspace, ran = searched
    losses = {trial["number"]: trial["point"]["loss"] for trial in ran.document["trials"] if trial["point"]}
    front = [trial["number"] for trial in ran.document["front"]]
    safest = min(reversed(front), key=lambda number: losses[number]["estimate"])
    proved = workspace.run("search", "--target", "board", "--prove", "--json")
    verdicts = [notice.partition(",")[0] for notice in proved.document["notices"] if ": #" in notice]
    assert verdicts[0] == f"pass: #{safest}"
    assert all(verdict.startswith("pass") for verdict in verdicts[:-1])
    assert (proved.code, proved.document["status"]) == (0, "pass")
    last = [verdict.rpartition("#")[2] for verdict in verdicts if verdict.startswith("pass")][-1]
    shown = workspace.run("search", "--target", "board", "--show", "--json")
    assert shown.document["taken"] == int(last)
    both = workspace.run("search", "--target", "board", "--prove", "--apply", "0")
    assert (both.code, both.err.count("\n")) == (2, 1)


def test_a_trial_that_there_is_not_ends_in_one_line(searched: tuple[Workspace, Ran]) -> None:
    workspace, _ = searched
    ran = workspace.run("search", "--target", "board", "--apply", "99")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("edgebuild: the search of tiny on board has no trial 99 (")


def test_a_gate_that_no_recipe_passes_is_named_with_what_the_nearest_missed(workspace: Workspace) -> None:
    (workspace.root / "few.toml").write_text(SPACE)
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', "")
    workspace.edit("targets/board.toml", 'limit = "-60 %"', 'limit = "-99.9 %"')
    ran = search(workspace)
    assert ran.code == 1
    assert "no recipe passes size '-99.9 %'; the nearest is #" in ran.out
    assert "too much" in ran.out
    taken = workspace.run("plan", "--target", "board", "--recipe", "search")
    assert taken.code == 0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('use = "int8"', 'use = "int9"', "few.toml: steps[3].one_of[0].use: unknown step 'int9' (did you mean 'int8'?"),
        ("ratio = 0.5", "ratoi = 0.5", "few.toml: steps[1]: unknown key 'ratoi' (did you mean 'ratio'?"),
        (SPACE, 'description = "x"\nsteps = []\n', "few.toml: steps: "),
    ],
)
def test_a_space_with_a_mistake_ends_in_one_line(workspace: Workspace, old: str, new: str, told: str) -> None:
    (workspace.root / "few.toml").write_text(SPACE.replace(old, new, 1))
    ran = search(workspace)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"edgebuild: {told}")
    assert ran.err.count("\n") == 1


def test_a_space_that_can_express_nothing_for_the_model_says_why(workspace: Workspace) -> None:
    impossible = 'description = "x"\n[[steps]]\nuse = "float16"\n[[steps]]\nuse = "dynamic_int8"\n'
    (workspace.root / "few.toml").write_text(impossible)
    ran = search(workspace)
    assert ran.code == 2
    assert "none of 1 recipes of the space can be planned" in ran.err
    assert "'dynamic_int8' cannot follow 'float16'" in ran.err


def test_before_any_search_there_is_nothing_to_show(workspace: Workspace) -> None:
    ran = workspace.run("search", "--target", "board", "--show")
    assert ran.code == 2
    assert ran.err == "edgebuild: no search for tiny on board yet (edgebuild search --target board --model tiny)\n"
