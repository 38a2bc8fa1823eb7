"""A build from end to end: what it leaves behind, what it runs again, and what its exit code says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.conftest import Workspace


def test_nothing_changed_nothing_runs(built: Workspace) -> None:
    ran = built.run("--target", "board", "--json")
    assert ran.code == 0
    assert ran.document["ran"] == []
    assert ran.document["reused"] > 20
    assert ran.err == ""


def test_the_table_is_what_the_manifest_says(built: Workspace) -> None:
    manifest = json.loads((built.bundle / "manifest.json").read_text())
    printed = built.run("--target", "board").out
    footprint, accuracy = manifest["evidence"]["footprint"], manifest["evidence"]["accuracy"]["heads"]["output"]
    assert f"{accuracy['candidate']['accuracy']:.2%}" in printed
    assert f"{footprint['candidate']['bytes'] / 1000:.2f} k" in printed
    assert footprint["candidate"]["bytes"] == (built.bundle / manifest["parts"][0]["file"]).stat().st_size
    assert {v["metric"]: v["status"] for v in manifest["verdicts"]} == dict.fromkeys(
        ("accuracy", "size", "parity"), "pass"
    )


def test_the_shipped_file_is_small_and_integer(built: Workspace) -> None:
    footprint = json.loads((built.bundle / "manifest.json").read_text())["evidence"]["footprint"]
    assert footprint["candidate"]["bytes"] * 8 < footprint["baseline"]["bytes"]
    assert footprint["candidate"]["parameters"] * 3 < footprint["baseline"]["parameters"]


def test_the_bundle_ships_the_faster_format(built: Workspace) -> None:
    formats = built.run("--target", "board", "--json").document["bundles"][0]["formats"]
    speeds = {name: found["evidence"]["latency"]["speed"] for name, found in formats.items()}
    manifest = json.loads((built.bundle / "manifest.json").read_text())
    assert manifest["format"] == min(speeds, key=speeds.__getitem__)


def test_the_bundles_runner_needs_only_numpy_and_the_runtime(built: Workspace, tmp_path: Path) -> None:
    bundle = shutil.copytree(built.bundle, tmp_path / "elsewhere")
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "onnx", "PIL", "scipy", "edgebuild", "pydantic"):
        (blocked / f"{name}.py").write_text("raise ImportError('the runner must not need this')")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(blocked)}
    done = subprocess.run(
        [sys.executable, "run.py", "sample.png"], cwd=bundle, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    model = built.root / "models" / "tiny"
    truth = subprocess.run(
        [sys.executable, "-c", "import model; print(model.examples(600, 1)[1][0])"],
        cwd=model, capture_output=True, text=True, check=True,
    )  # fmt: skip
    labels = json.loads((bundle / "labels.json").read_text())
    assert done.stdout.startswith(f"sample.png: {labels[int(truth.stdout)]} (")


def test_a_changed_limit_trains_and_converts_nothing(workspace: Workspace) -> None:
    workspace.edit("targets/board.toml", 'limit = "-60 %"', 'limit = "-61 %"')
    explained = workspace.run("explain", "--target", "board").out
    assert 'board/tiny/judge: would run: option.gates[1].limit "-60 %" → "-61 %"' in explained
    ran = workspace.run("--target", "board", "--json").document["ran"]
    assert [entry["step"] for entry in ran] == ["board/tiny/judge", "board/tiny/bundle"]


def test_a_changed_option_names_itself_and_spares_what_does_not_depend_on_it(workspace: Workspace) -> None:
    workspace.edit("targets/board.toml", 'use = "int8"', 'use = "int8"\ncalibration = 100')
    explained = workspace.run("explain", "--target", "board", "--json").document["steps"]
    reasons = {entry["step"]: entry["reason"] for entry in explained if entry["state"] == "run"}
    assert reasons == dict.fromkeys(("board/tiny/tflite/int8", "board/tiny/onnx/int8"), "option.calibration 256 → 100")


def test_a_comment_in_the_models_code_is_a_change_of_the_users_own(workspace: Workspace) -> None:
    workspace.edit("models/tiny/model.py", "def build()", "# a remark\ndef build()")
    explained = workspace.run("explain", "--target", "board", "--json").document["steps"]
    first = next(entry for entry in explained if entry["state"] == "run")
    assert first["step"] == "tiny/data"
    assert first["reason"].startswith("input.code code:")


def test_a_failed_gate_takes_the_bundle_away_and_keeps_the_evidence(workspace: Workspace) -> None:
    assert workspace.run("--target", "board").code == 0
    assert workspace.bundle.is_dir()
    workspace.edit("targets/board.toml", 'limit = "-60 %"', 'limit = "2 KiB"')
    ran = workspace.run("--target", "board")
    assert ran.code == 1
    assert not workspace.bundle.exists()
    evidence = workspace.bundle.with_name("tiny.evidence")
    verdicts = json.loads((evidence / "verdicts" / "verdicts.json").read_text())
    assert verdicts["status"] == "fail"
    assert "fail" in ran.out
    assert "of at most 2.0 KiB" in " ".join(ran.out.split())
    told = "Try a recipe that takes more away (--recipe balanced or --recipe smallest); or prune_channels with a higher"
    line, more = [line for line in ran.out.splitlines() if line.startswith("next: ")]
    assert more == "next: edgebuild search --target board --model tiny looks for a recipe that passes"
    assert line.startswith("next: size '2 KiB', fail: ")
    assert told in line
    assert told.removeprefix("Try ") in workspace.run("explain", "--target", "board", "--gate", "size").out
    (bundle,) = workspace.run("--target", "board", "--json").document["bundles"]
    verdicts = {verdict["metric"]: verdict["next"] for verdict in bundle["formats"][bundle["format"]]["verdicts"]}
    assert (verdicts["accuracy"], verdicts["size"].startswith(told.removeprefix("Try "))) == ("", True)


@pytest.mark.parametrize(
    ("recipe", "trained", "other"), [("int8", [], "tflite"), ("qat", ["board/tiny/qat"], "onnx")], ids=["int8", "qat"]
)
def test_weights_of_ones_own_become_integers(
    workspace: Workspace, built: Workspace, recipe: str, trained: list[str], other: str
) -> None:
    """The commonest wishes: int8 after training and nothing else, and fine-tuned for it; held to what any model can."""
    provenance = json.loads((built.bundle / "manifest.json").read_text())["provenance"]
    (digest,) = {entry["output"] for entry in provenance if entry["step"] == "tiny/float"}
    (weights,) = workspace.store.glob(f"cas/*{digest}*/weights.safetensors")
    shutil.copyfile(weights, workspace.root / "models" / "tiny" / "mine.safetensors")
    workspace.edit("models/tiny/model.toml", 'data = "load"', 'data = "load"\nweights = "mine.safetensors"')
    workspace.edit("targets/board.toml", '[[gates]]\nmetric = "size"\nlimit = "-60 %"\n', "")
    workspace.edit("targets/board.toml", "description = ", "policy = true\ndescription = ")
    workspace.edit("targets/board.toml", f'[[runtimes]]\nformat = "{other}"\n\n', "")
    ran = workspace.run("--target", "board", "--recipe", recipe, "--json")
    assert ran.code == 0, ran.out
    steps = [entry["step"] for entry in ran.document["ran"]]
    assert [step for step in steps if step.endswith(("/train", "/qat", "/distill", "/prune_channels"))] == trained
    (bundle,) = ran.document["bundles"]
    (judged,) = bundle["formats"].values()
    assert [step["step"] for step in judged["evidence"]["proof"]["steps"]] == [*(["qat"] if trained else []), "int8"]
    limits = {verdict["metric"]: verdict["limit"] for verdict in judged["verdicts"]}
    assert limits == {"accuracy": "3 pp", "parity": "1e-3", "size": "+0 %"}


def test_too_low_a_fidelity_leaves_a_candidate(workspace: Workspace) -> None:
    workspace.edit("targets/board.toml", 'limit = "3 pp"', 'limit = "3 pp"\nfidelity = "hardware"')
    assert workspace.run("--target", "board").code == 3
    assert json.loads((workspace.bundle / "manifest.json").read_text())["status"] == "candidate"
    assert workspace.run("verify", str(workspace.bundle)).code == 0
    refused = workspace.run("verify", "--released", str(workspace.bundle))
    assert refused.code == 3
    assert "refused" in refused.out


def test_too_few_examples_are_inconclusive_and_say_how_many_are_needed(workspace: Workspace) -> None:
    workspace.edit("targets/board.toml", 'limit = "3 pp"', 'limit = "0.1 pp"')
    ran = workspace.run("--target", "board", "--json")
    assert ran.code == 3
    verdicts = ran.document["bundles"][0]["formats"]["tflite"]["verdicts"]
    reason = next(v["reason"] for v in verdicts if v["metric"] == "accuracy")
    assert "600 examples are too few" in reason
    assert "are needed" in reason


def test_two_targets_share_what_they_share(workspace: Workspace) -> None:
    text = (workspace.root / "targets" / "board.toml").read_text()
    (workspace.root / "targets" / "other.toml").write_text(text.replace('"-60 %"', '"-50 %"'))
    ran = workspace.run("--target", "board", "--target", "other", "--json").document
    assert {bundle["target"]: bundle["status"] for bundle in ran["bundles"]} == {"board": "pass", "other": "pass"}
    assert [entry["step"] for entry in ran["ran"]] == ["other/tiny/judge", "other/tiny/bundle"]


def test_two_clones_give_the_same_bytes(fresh: Callable[[], Workspace], built: Workspace, tmp_path: Path) -> None:
    """As ONNX; tests/formats/test_answers.py holds TFLite files against those of another process."""
    clone = Workspace(fresh().root, tmp_path / "another store")
    clone.edit("targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', "")
    ran = clone.run("--target", "board", "--json", PYTHONHASHSEED="123")
    assert ran.code == 0, ran.err
    again, first = digests(clone), digests(built)
    assert {*first} - {*again} == {step for step in first if "/tflite/" in step}
    assert again == {step: first[step] for step in again}


def digests(workspace: Workspace) -> dict[str, str]:
    """The output of every step that says it is deterministic."""
    provenance = json.loads((workspace.bundle / "manifest.json").read_text())["provenance"]
    found = {entry["step"]: entry["output"] for entry in provenance if entry["deterministic"] != "no"}
    assert len(found) > 20
    # Verdicts and proofs rest on measured times, which are never the same.
    return {step: digest for step, digest in found.items() if not step.endswith(("/judge", "/proof"))}


def test_a_step_that_costs_and_buys_nothing_is_told_of_and_left_out_on_demand(workspace: Workspace) -> None:
    """A second distillation at a huge learning rate spoils the model: without it the build passes."""
    target = workspace.root / "targets" / "board.toml"
    lines = "[recipe]\ndrop_useless = false\n\n"
    text = target.read_text().replace("[[recipe]]", "[[recipe.steps]]")
    spoil = '[[recipe.steps]]\nuse = "distill"\nlearning_rate = 0.8\nepochs = 1\n\n'
    at = text.index('[[recipe.steps]]\nuse = "int8"')
    text = text[:at] + spoil + text[at:]
    first = text.index("[[recipe.steps]]")
    target.write_text(text[:first] + lines + text[first:])

    kept = workspace.run("--target", "board", "--json")
    assert kept.code == 1, kept.err
    formats = kept.document["bundles"][0]["formats"]
    spoilt = formats["tflite"]["evidence"]["proof"]["steps"][2]
    assert (spoilt["step"], spoilt["useless"], spoilt["costs"]) == ("distill-2", True, ["accuracy"])
    assert "useless: costs accuracy, buys nothing" in workspace.run("--target", "board").out

    workspace.edit("targets/board.toml", "drop_useless = false", "drop_useless = true")
    dropped = workspace.run("--target", "board", "--json")
    assert dropped.code == 0, dropped.err
    assert "useless steps are left out" in dropped.err
    manifest = json.loads((workspace.bundle / "manifest.json").read_text())
    assert manifest["dropped"] == ["onnx: distill (recipe.steps[2])", "tflite: distill (recipe.steps[2])"]
    assert [step["step"] for step in manifest["evidence"]["proof"]["steps"]] == ["prune_channels", "distill", "int8"]
    assert workspace.run("--target", "board", "--json").document["ran"] == []

    foreseen = workspace.run("plan", "--target", "board", "--json").document["steps"]
    assert {step["state"] for step in foreseen} == {"current"}
    assert not any("distill-2" in step["step"] for step in foreseen)
    explained = workspace.run("explain", "--gate", "accuracy", "--target", "board", "--json").document["verdicts"]
    published = {each["metric"]: each["status"] for each in manifest["verdicts"]}
    assert [each["status"] for each in explained if each["shipped"]] == [published["accuracy"]] == ["pass"]


def test_a_recipe_can_be_named_on_the_command_line(workspace: Workspace) -> None:
    (workspace.root / "recipes").mkdir()
    (workspace.root / "recipes" / "half.toml").write_text('description = "Half"\nsteps = [{use = "float16"}]\n')
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', "")  # one format takes half the time
    assert "half" in workspace.run("recipes").out
    ran = workspace.run("--target", "board", "--recipe", "half", "--json")
    assert ran.code == 1  # the size gate: half of the bytes is not enough
    steps = ran.document["bundles"][0]["formats"]["onnx"]["evidence"]["proof"]["steps"]
    gains = [(step["step"], {*step["gains"]} - {"seconds"}) for step in steps]  # which a single process may show
    assert gains == [("float16", {"bytes", "compressed"})]
    assert "unknown recipe 'hlaf' (did you mean 'half'?" in workspace.run("-t", "board", "-r", "hlaf").err


def test_of_a_choice_of_recipes_the_first_that_passes_is_shipped(workspace: Workspace) -> None:
    """`plan` and `explain` follow the build to it, also past what a technique refuses, and with none that passes the
    last verdict stands.
    """
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', "")  # one format takes half the time
    recipes = workspace.root / "recipes"
    recipes.mkdir()
    (recipes / "half.toml").write_text('description = "Half"\nsteps = [{use = "float16"}]\n')
    lines = (workspace.root / "targets" / "board.toml").read_text()
    steps = lines[lines.index("[[recipe]]") : lines.index("[[", lines.rindex("[[recipe]]") + 2)]
    (recipes / "own.toml").write_text('description = "The board\'s"\n' + steps.replace("[[recipe]]", "[[steps]]"))
    (recipes / "gates.toml").write_text('description = "Gates"\nsteps = [{use = "fix_gates"}]\n')
    (recipes / "choice.toml").write_text('description = "Three"\nfirst_of = ["gates", "half", "own"]\n')
    assert "float16; else prune_channels → distill → int8" in workspace.run("recipes").out

    ran = workspace.run("--target", "board", "--recipe", "choice", "--json")
    assert ran.code == 0, ran.err
    refused = "fix_gates: the model has no gate by channel in a module of one name"
    assert f"board/tiny: {refused}: the recipe half is tried" in ran.err
    assert "board/tiny: does not pass by size: the recipe own is tried" in ran.err
    shipped = json.loads((workspace.bundle / "manifest.json").read_text())["evidence"]["proof"]["steps"]
    assert [step["step"] for step in shipped] == ["prune_channels", "distill", "int8"]
    assert workspace.run("--target", "board", "--recipe", "choice", "--json").document["ran"] == []
    foreseen = workspace.run("plan", "--target", "board", "--recipe", "choice", "--json").document["steps"]
    assert {step["state"] for step in foreseen} == {"current"}
    assert not any("float16" in step["step"] for step in foreseen)

    (recipes / "choice.toml").write_text('description = "Half, or no gates"\nfirst_of = ["half", "gates"]\n')
    last = workspace.run("--target", "board", "--recipe", "choice")
    assert f"{refused}: no other recipe is left, and the verdict on the one before stands" in last.err
    assert (last.code, "size" in last.out, workspace.bundle.exists()) == (1, True, False)
    assert workspace.bundle.with_name("tiny.evidence").is_dir()
    foreseen = workspace.run("plan", "--target", "board", "--recipe", "choice", "--json").document["steps"]
    assert {(step["state"], "fix_gates" in step["step"]) for step in foreseen} == {("current", False)}
    (recipes / "choice.toml").write_text('description = "No gates"\nfirst_of = ["gates", "gates"]\n')
    none = workspace.run("--target", "board", "--recipe", "choice")
    assert (none.code, "edgebuild: " in none.err, refused.partition(": ")[2] in none.err) == (2, True, True)
    (recipes / "choice.toml").write_text('description = "Half twice"\nfirst_of = ["half", "half"]\n')
    assert workspace.run("--target", "board", "--recipe", "choice").code == 1
    (recipes / "choice.toml").write_text('description = "Itself"\nfirst_of = ["half", "choice"]\n')
    circle = workspace.run("--target", "board", "--recipe", "choice")
    told = "recipes/choice.toml: first_of: stands in another's first_of, and is a choice itself"
    assert (circle.code, circle.err.strip()) == (2, f"edgebuild: {told}")


def test_integer_borders_and_a_coded_download_run_where_they_are_put(workspace: Workspace, tmp_path: Path) -> None:
    """All of the way: the layout that Android callers expect, told in the manifest, and the loader that follows it."""
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "onnx"\n\n', "")
    workspace.edit("targets/board.toml", 'use = "int8"', 'use = "int8"\nio = "int8"\n\n[[recipe]]\nuse = "encode"')
    assert workspace.run("--target", "board", "--json").code == 0
    bundle = shutil.copytree(workspace.bundle, tmp_path / "elsewhere")
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert [(port["layout"], port["shape"]) for port in manifest["parts"][0]["inputs"]] == [("nhwc", [1, 8, 8, 1])]
    done = subprocess.run([sys.executable, "-I", "run.py", "sample.png"], cwd=bundle, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if not line.startswith("INFO: ")]  # the runtime's own
    assert (done.returncode, said) == (0, [])
    assert done.stdout.startswith("sample.png: ")
