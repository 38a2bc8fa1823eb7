"""Ways to plan keys wrongly, each a line of the package that says something else; the tests of keys see every one.

`python -m tests.plan.mutants` tries them all, each on a copy of the package, and names those that nobody saw.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests import ROOT
from tests.plan.project import PARSED

_COPIED = ("edgebuild", "tests", "targets", "models", "recipes", "policies", "pyproject.toml")


class Mutant(NamedTuple):
    """What is left out of which keys: the file, what stands there once, what takes its place, a test that must fail."""

    left_out: str
    file: str
    old: str
    new: str
    seen_by: str


_CODE = "test_code_counts"
_TECHNIQUE = "test_every_technique"
MUTANTS = (
    Mutant(
        "a format's code, of a step on its file",
        "plan/recipe.py",
        "code=((FORMATS.module(runtime.format),) if of_format else ()) + learning + taught_by[0],",
        "code=learning + taught_by[0],",
        _TECHNIQUE,
    ),
    Mutant(
        "a format's tools, of a step on its file",
        "plan/recipe.py",
        "tools=(FORMATS.get(runtime.format).tools if of_format else ()) + taught_by[1],",
        "tools=taught_by[1],",
        "test_the_version_of_a_tool",
    ),
    Mutant(
        "a format's code, of the conversion",
        "plan/recipe.py",
        "code=(FORMATS.module(runtime.format), *rewriting(runtime.format)),\n            tools=target_format.tools,",
        "code=rewriting(runtime.format),\n            tools=target_format.tools,",
        _CODE,
    ),
    Mutant(
        "the code of the rewrites for a format, of the conversion",
        "plan/recipe.py",
        "code=(FORMATS.module(runtime.format), *rewriting(runtime.format)),\n            tools=target_format.tools,",
        "code=(FORMATS.module(runtime.format),),\n            tools=target_format.tools,",
        _CODE,
    ),
    Mutant(
        "the gates' code, of the judge",
        "plan/measuring.py",
        "(*(GATES.module(gate.metric) for gate in self._gates), *map(STEPS.module, sorted({*steps})))",
        "tuple(map(STEPS.module, sorted({*steps})))",
        _CODE,
    ),
    Mutant(
        "the techniques' code, of the judge that says which of their options to try",
        "plan/measuring.py",
        ", *map(STEPS.module, sorted({*steps})))",
        ",)",
        _CODE,
    ),
    Mutant(
        "the CPU, of what a file answers",
        "plan/measurements.py",
        "facts=instrument.arithmetic,",
        "",
        "test_what_a_device_is",
    ),
    Mutant(
        "the CPU, of all answers",
        "plan/instruments.py",
        '_ARITHMETIC = ("cpu", ',
        '_ARITHMETIC = (',
        "test_what_a_device_is",
    ),
    Mutant(
        "what the device is, of times",
        "plan/timing.py",
        "facts=instrument.fingerprint,",
        "facts=instrument.arithmetic,",
        "test_what_a_device_is",
    ),
    Mutant(
        "what the device is, of counted work",
        "plan/measurements.py",
        "facts=instrument.fingerprint,",
        "",
        "test_what_a_device_is",
    ),
    Mutant(
        "a device's code, of what it measures",
        "plan/instruments.py",
        "return (own, *(module for kind in kinds for module in (kind.__module__, kind.loader)))",
        "return tuple(module for kind in kinds for module in (kind.__module__, kind.loader))",
        _CODE,
    ),
    Mutant(
        "the code of the gates that stop a measurement, of times",
        "plan/timing.py",
        "code=(*instrument.code(*formats), *sorted({GATES.module(gate.metric) for gate in gates})),",
        "code=instrument.code(*formats),",
        _CODE,
    ),
    Mutant(
        "the code of the gates that stop a measurement, of sampled answers",
        "plan/sampling.py",
        "return sorted({GATES.module(gate.metric) for gate in gates} | of_tasks)",
        "return sorted(of_tasks)",
        _CODE,
    ),
    Mutant(
        "the tasks' code, of training",
        "sources/_modules.py",
        "trains=True, code=tasks.modules(declared.heads))",
        "trains=True)",
        _CODE,
    ),
    Mutant(
        "the tasks' code, of what learns after training",
        "plan/recipe.py",
        'learning = task_code(self._model) if "data" in inputs else ()',
        "learning = ()",
        _CODE,
    ),
    Mutant(
        "the tasks' code, of sampled answers",
        "plan/sampling.py",
        "for gate in gates} | of_tasks)",
        "for gate in gates})",
        _CODE,
    ),
    Mutant(
        "the metrics' code, of scores",
        "plan/measuring.py",
        "Scores(metrics, names), own, codes, tools)",
        "Scores(metrics, names), own, (), tools)",
        _CODE,
    ),
    Mutant(
        "the runtime's version, of what a file answers",
        "plan/measurements.py",
        "tools=(FORMATS.get(runtime.format).runtime,),\n            facts=instrument.arithmetic,",
        "facts=instrument.arithmetic,",
        "test_the_version_of_a_tool",
    ),
    Mutant(
        "the runtime's version, of counted work",
        "plan/measurements.py",
        "tools=(FORMATS.get(name).runtime,),",
        "",
        "test_the_version_of_a_tool",
    ),
    Mutant(
        "a format's tools, of what is tried before any training",
        "plan/preflight.py",
        "tools=kind.tools,",
        "",
        "test_the_version_of_a_tool",
    ),
    Mutant(
        "what travels, of the bundle",
        "plan/shipping.py",
        'facts={f"payload.{path.name}": sha256.of_file(path) for path in payload},',
        "",
        "test_what_travels_in_a_bundle",
    ),
    Mutant(
        "the versions that the model's code needs, of its data",
        "plan/weights.py",
        "tools=(*declared.tools, *step.data.requires),",
        "tools=step.data.requires,",
        "test_the_version_of_what_the_models_code_needs",
    ),
    Mutant(
        "what a source says that decides the weights",
        "plan/weights.py",
        "making.step, inputs, kind, making.code, tools))",
        "making.step, inputs, kind))",
        _CODE,
    ),
    Mutant(
        "the versions that the model's code needs, of its weights",
        "plan/weights.py",
        'self.model.declared.tools if "code" in inputs else ()',
        "()",
        "test_the_version_of_what_the_models_code_needs",
    ),
    Mutant(
        "what data are read from elsewhere",
        "plan/weights.py",
        "loader(model, _reads(store, model))",
        "loader(model)",
        "test_a_line_of_the_model",
    ),
    Mutant(
        "what goes in, of every key",
        "engine/keys.py",
        'named |= {f"input.{role}": f"{item.kind}:{item.digest}" for role, item in inputs.items()}',
        "",
        "test_a_line_of_the_model",
    ),
)  # fmt: skip


def copy(folder: Path) -> Path:
    """A copy of what the tests of keys need, in a folder that is not there yet."""
    folder.mkdir(parents=True)
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "_data"))
        else:
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def test(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The tests of keys in a copy; what one run has learnt of its code, the next need not read."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, "tests/plan/test_keys.py"]
    variables = {"PYTHONDONTWRITEBYTECODE": "1", PARSED: str(root / "parsed.json")}
    return subprocess.run(
        command, cwd=root, env=os.environ | variables, capture_output=True, text=True, timeout=600, check=False
    )


def unseen(mutant: Mutant, root: Path) -> str | None:
    """None where a test of keys fails with this mutant in the copy below `root`, else what went otherwise."""
    path = root / "edgebuild" / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        return f"{mutant.file} has {text.count(mutant.old)} times {mutant.old!r}: name the line that is there now"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        done = test(root, "-x", "-k", mutant.seen_by)
    finally:
        path.write_text(text, encoding="utf-8")
    # 1 is a test that failed: not a package that cannot be imported, nor a test that is no more.
    failed = done.returncode == 1 and "AssertionError" in done.stdout
    return None if failed else f"pytest ended with {done.returncode}: {done.stdout[-600:]}{done.stderr[-600:]}"


def main() -> int:
    """Try every mutant; how many nobody saw."""
    survivors = 0
    with tempfile.TemporaryDirectory() as scratch:
        root = copy(Path(scratch, "copy"))
        for mutant in MUTANTS:
            reason = unseen(mutant, root)
            survivors += reason is not None
            print(f"{'SURVIVES' if reason else 'seen'}  {mutant.file}: without {mutant.left_out}  {reason or ''}")
    return survivors


if __name__ == "__main__":
    sys.exit(main())
