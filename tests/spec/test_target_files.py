"""Reading a target: every kind of mistake gives one line with file, key and reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_recipe, read_target
from edgebuild.spec.target import LeastFidelity, Recipe, StepSpec, Target, reaches
from tests.core import CORE

GOOD = """\
description = "a board"
[hardware]
arch = "aarch64"
cpu = "cortex-a72"
cores = 4
clock = "1.5 GHz"
ram = "4 GiB"
isa = ["fp"]
[[runtimes]]
format = "tflite"
[[recipe]]
use = "int8"
calibration = 8
[[devices]]
transport = "local"
measures = ["outputs"]
speed = 3
[[gates]]
metric = "accuracy"
limit = "1 pp"
"""


def read(folder: Path, text: str | bytes) -> Target:
    file = folder / "board.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_target(file, "targets/board.toml")


def refusal(folder: Path, text: str | bytes) -> str:
    """The one line that reading `text` gives."""
    with pytest.raises(UsageError) as caught:
        read(folder, text)
    line = caught.value.line
    assert line.startswith("targets/board.toml: ")
    assert "\n" not in line
    return line.removeprefix("targets/board.toml: ")


def test_a_target_is_read_with_its_units_and_the_options_of_steps_and_devices_kept_apart(tmp_path: Path) -> None:
    target = read(tmp_path, GOOD)
    assert (target.name, target.file, target.description) == ("board", "targets/board.toml", "a board")
    assert (target.hardware.clock, target.hardware.ram, target.hardware.isa) == (1.5e9, 4 * 2**30, ("fp",))
    assert (target.recipe.steps[0].use, dict(target.recipe.steps[0].options)) == ("int8", {"calibration": 8})
    assert (target.devices[0].transport, target.devices[0].measures) == ("local", ("outputs",))
    assert dict(target.devices[0].options) == {"speed": 3}
    assert (target.gates[0].confidence, target.gates[0].fidelity) == (0.95, None)
    assert target.fidelity == LeastFidelity("host", "host")


# What is written instead of what, and what the line then says: key, reason and, for names, the near one.
MISTAKES = {
    "unknown key": ("cores = 4", "coers = 4", "hardware: unknown key 'coers' (did you mean 'cores'? known: acc"),
    "unknown key at the top": ("[[recipe]]", "[[recipes]]", "unknown key 'recipes' (did you mean 'recipe'? known: "),
    "unknown key in a list": ("format =", "fromat =", "runtimes[0]: unknown key 'fromat' (did you mean 'format'?"),
    "missing key": ('cpu = "cortex-a72"\n', "", "hardware.cpu: is missing"),
    "missing list": ('[[runtimes]]\nformat = "tflite"\n', "", "runtimes: is missing"),
    "text for a number": ("cores = 4", 'cores = "4"', 'hardware.cores: input should be a valid integer, got "4"'),
    "fraction for a count": ("cores = 4", "cores = 4.5", "hardware.cores: input should be a valid integer, got 4.5"),
    "float for a count": ("cores = 4", "cores = 4.0", "hardware.cores: input should be a valid integer, got 4.0"),
    "bool for a count": ("cores = 4", "cores = true", "hardware.cores: input should be a valid integer, got true"),
    "number for text": ('"a board"', "7", "description: input should be a valid string, got 7"),
    "date for text": ('"a board"', "1979-05-27", "description: input should be a valid string, got "),
    "number for a quantity": ('"4 GiB"', "4", "hardware.ram: 4 is not a quantity; write a number and a unit (B, kB"),
    "no unit": ('"4 GiB"', '"4"', "hardware.ram: '4' has no unit; use one of B, kB"),
    "unknown unit": ('"4 GiB"', '"4 gigs"', "hardware.ram: unknown unit 'gigs' in '4 gigs'; use one of B, kB"),
    "no cores": ("cores = 4", "cores = 0", "hardware.cores: input should be greater than or equal to 1, got 0"),
    "text for a list": ('["fp"]', '"fp"', 'hardware.isa: input should be a valid array, got "fp"'),
    "number in a list": ('["fp"]', '["fp", 2]', "hardware.isa[1]: input should be a valid string, got 2"),
    "wrong choice": ('["outputs"]', '["output"]', "devices[0].measures[0]: input should be 'outputs' or 'latency', "),
    "certainty": ('"1 pp"', '"1 pp"\nconfidence = 1', "gates[0].confidence: input should be less than 1, got 1"),
    "infinite": ('"1 pp"', '"1 pp"\nconfidence = nan', "gates[0].confidence: input should be a finite number, got NaN"),
    "number for a limit": ('"1 pp"', "1", "gates[0].limit: input should be a valid string, got 1"),
    "fidelity": ('"1 pp"', '"1 pp"\nfidelity = "true"', "gates[0].fidelity: input should be 'hardware', 'emulated', "),
    "fidelity of nothing": ("[[recipe]]", '[fidelity]\ntime = "host"\n[[recipe]]', "fidelity: unknown key 'time' ("),
    "one package": ('"a board"', '"a board"\npackages = "deb"', 'packages: input should be a valid array, got "deb"'),
    "step without name": ('use = "int8"', 'step = "int8"', "recipe[0].use: is missing"),
    "format named twice": ("[[recipe]]", '[[runtimes]]\nformat = "tflite"\n[[recipe]]', "runtimes: a format may be"),
    "line break in a key": ("cores = 4", '"co\\nres" = 4', "hardware: unknown key 'co\\nres'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_told_in_one_line_with_file_key_and_reason(tmp_path: Path, kind: str) -> None:
    before, after, told = MISTAKES[kind]
    assert GOOD.count(before) == 1
    assert refusal(tmp_path, GOOD.replace(before, after)).startswith(told)


# What a core's prediction would otherwise be made of without a word.
GAPS = {
    "clock": ('clock = "1.5 GHz"\n', "", "hardware: clock is missing, and a declared core needs it: its time is"),
    "memory": ('ram = "4 GiB"\n', "", "hardware: ram is missing, and a declared core needs it: an emulator must show"),
    "miss": ("{l1d = 5.0}", "{}", "hardware.core: time.miss_cycles must be stated for l1d, not for none"),
    "other miss": ("l1d = 5.0", "l1d = 5.0, l2 = 9.0", "hardware.core: time.miss_cycles must be stated for l1d, not"),
    "cores": ('"tflite"', '"tflite"\nthreads = 8', "runtimes[0].threads is 8, and hardware.cores is 4"),
}


@pytest.mark.parametrize("gap", GAPS)
def test_a_core_is_refused_where_its_time_would_be_made_of_a_guess(tmp_path: Path, gap: str) -> None:
    whole = GOOD.replace("[[runtimes]]\n", f"{CORE}[[runtimes]]\n")
    assert read(tmp_path, whole).hardware.core_clock == 1.5e9
    before, after, told = GAPS[gap]
    assert whole.count(before) == 1
    assert refusal(tmp_path, whole.replace(before, after)).startswith(told)


def test_a_misspelt_key_is_told_before_the_missing_one_that_it_causes(tmp_path: Path) -> None:
    text = GOOD.replace("description", "descriptoin")
    assert refusal(tmp_path, text).startswith("unknown key 'descriptoin' (did you mean 'description'?")


def test_a_table_where_a_list_belongs_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, GOOD.replace("[[gates]]", "[gates]")).startswith(
        "gates: input should be a valid array, got {"
    )


def test_empty_lists_of_runtimes_and_devices_are_refused(tmp_path: Path) -> None:
    head = 'description = "x"\nhardware = {arch = "a", cpu = "c"}\n'
    lists = {
        "runtimes": '[{format = "onnx"}]',
        "devices": '[{transport = "local"}]',
    }
    for name in lists:
        text = head + "".join(f"{key} = {'[]' if key == name else value}\n" for key, value in lists.items())
        assert refusal(tmp_path, text).startswith(f"{name}: tuple should have at least 1 item")


def test_what_is_not_toml_is_told_with_its_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, 'description = "x\n') == "not valid TOML: Illegal character '\\n' (at line 1, column 17)"
    assert refusal(tmp_path, GOOD + "cores = 4 4\n").startswith("not valid TOML: ")
    assert refusal(tmp_path, "a = 1\na = 2\n").startswith("not valid TOML: Cannot overwrite a value (at line 2")
    assert refusal(tmp_path, "a = " + "9" * 5000).startswith("not valid TOML: ")


def test_what_is_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    for text in ("a = " + "[" * 5000, "a." * 5000 + "a = 1", "a = " + "[" * 240 + "]" * 240):
        assert "nested too deeply" in refusal(tmp_path, text) or "unknown key 'a'" in refusal(tmp_path, text)


def test_a_very_long_value_is_cut_in_the_message(tmp_path: Path) -> None:
    assert len(refusal(tmp_path, GOOD.replace("cores = 4", f'cores = "{"x" * 10_000}"'))) < 200


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, GOOD.encode() + b"\xff") == f"not UTF-8 at byte {len(GOOD)}"
    assert refusal(tmp_path, GOOD.encode("utf-16")) == "not UTF-8 at byte 0"
    assert refusal(tmp_path, b"").endswith("is missing")


def test_what_cannot_be_read_is_told_with_the_cause(tmp_path: Path) -> None:
    folder, loop = tmp_path / "folder.toml", tmp_path / "loop.toml"
    folder.mkdir()
    loop.symlink_to(loop)
    for path, cause in (
        (folder, "Is a directory"),
        (loop, "Too many levels of symbolic links"),
        (tmp_path / "none.toml", "No such file or directory"),
    ):
        with pytest.raises(UsageError) as caught:
            read_target(path, path.name)
        assert caught.value.line == f"{path.name}: cannot be read: {cause}"


def test_better_evidence_reaches_what_less_is_asked_for() -> None:
    assert reaches("hardware", "estimated")
    assert reaches("host", "host")
    assert not reaches("estimated", "host")
    assert not reaches("host", "emulated")


LIST = """[[recipe]]
use = "int8"
calibration = 8
"""


def test_a_recipe_is_a_list_a_name_or_a_table(tmp_path: Path) -> None:
    assert LIST in GOOD
    named = Recipe((StepSpec("float16", {}, "steps[0]", "recipes/half.toml"),), False, "half", "Half")

    def recipe(text: str) -> Recipe:
        file = tmp_path / "board.toml"
        file.write_text(text + GOOD.replace(LIST, ""))
        return read_target(file, "targets/board.toml", {"half": named}.__getitem__).recipe

    assert recipe('recipe = "half"\n') == named
    assert recipe('recipe = {use = "half", drop_useless = true}\n') == replace(named, drop_useless=True)
    own = recipe('recipe = {steps = [{use = "int8", calibration = 8}], drop_useless = true}\n')
    assert own == Recipe((StepSpec("int8", {"calibration": 8}, "recipe.steps[0]", "targets/board.toml"),), True)


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        ('"half"', "recipe: no recipe 'half' can be found here"),
        ("{drop_useless = true}", "recipe: a recipe has either steps or the name of another in use"),
        ('{use = "half", steps = []}', "recipe: a recipe has either steps or the name of another in use"),
        ("{steps = [], drop = true}", "recipe: unknown key 'drop' (known: drop_useless"),
        ("{steps = [{calibration = 8}]}", "recipe.steps[0].use: is missing"),
        ("7", "recipe: input should be a valid array, got 7"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, recipe: str, line: str) -> None:
    assert refusal(tmp_path, f"recipe = {recipe}\n" + GOOD.replace(LIST, "")).startswith(line)


def test_a_recipe_file_names_itself_in_messages(tmp_path: Path) -> None:
    file = tmp_path / "half.toml"
    file.write_text('description = "Half"\nsteps = [{use = "float16"}]\n')
    assert read_recipe(file, "recipes/half.toml") == Recipe(
        (StepSpec("float16", {}, "steps[0]", "recipes/half.toml"),), False, "half", "Half"
    )
    file.write_text('description = "Half"\nsteps = []\n')
    with pytest.raises(UsageError) as caught:
        read_recipe(file, "recipes/half.toml")
    assert caught.value.line.startswith("recipes/half.toml: steps: ")
    for lines in ("", 'steps = [{use = "int8"}]\nfirst_of = ["int8", "float16"]\n'):
        file.write_text('description = "Half"\n' + lines)
        with pytest.raises(UsageError, match="a recipe has either steps or the names of others in first_of"):
            read_recipe(file, "recipes/half.toml")


def test_looks_must_increase(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD + "[timing]\nlooks = [4, 8]\n").timing.looks == (4, 8)
    for looks in ("[8, 4]", "[4, 4]"):
        told = refusal(tmp_path, GOOD + f"[timing]\nlooks = {looks}\n")
        assert told.startswith("timing.looks: looks must increase, got ")
