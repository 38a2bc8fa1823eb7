"""Ways to plan keys wrongly, each a line of the package that says something else; the tests of keys see every one.

`python -m tests.plan.mutants` tries them all, each in a process of its own that has all imported already, and names
those that nobody saw.
"""

from __future__ import annotations

import importlib
import inspect
import json
import multiprocessing
import sys
from contextlib import redirect_stdout
from io import StringIO
from multiprocessing.connection import Connection
from pathlib import Path
from types import FunctionType, ModuleType
from typing import NamedTuple

import pytest

from tests import ROOT


class Mutant(NamedTuple):
    """What is left out of which keys: the file, what stands there once, what takes its place, a test that must fail."""

    left_out: str
    file: str
    old: str
    new: str
    seen_by: str


KEYS = Path(__file__).with_name("test_keys.py")
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


class Unchanged(Exception):
    """A text that makes the same module."""


def own(module: ModuleType) -> dict[str, FunctionType]:
    """The functions that a module's text defines, those of its classes among them, by qualified name."""
    values = [*vars(module).values()]
    values += [item for value in values if inspect.isclass(value) for item in vars(value).values()]
    bare = (inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", value)) for value in values)
    functions = {value.__qualname__: value for value in bare if isinstance(value, FunctionType)}
    return {name: item for name, item in functions.items() if item.__code__.co_filename == module.__file__}


def change(module: ModuleType, text: str) -> None:
    """Have a module's functions and constants be as another text of it says; its classes stay the same objects.

    Raises Unchanged where nothing is another then.
    """
    other = ModuleType(module.__name__)
    vars(other).update({name: vars(module)[name] for name in ("__file__", "__package__", "__spec__")})
    exec(compile(text, str(module.__file__), "exec"), vars(other))
    before, after = own(module), own(other)
    changed = [name for name in before if before[name].__code__ != after[name].__code__]
    for name in changed:
        before[name].__code__ = after[name].__code__
    for name, value in vars(other).items():
        if isinstance(value, str | int | float | tuple) and value != vars(module)[name]:
            setattr(module, name, value)
            changed.append(name)
    if not changed:
        raise Unchanged


def run(*arguments: str) -> tuple[int, str]:
    """Run tests of keys in this process: pytest's exit code, and what it said."""
    said = StringIO()
    with redirect_stdout(said):
        code = pytest.main(
            ["-q", "-x", "--assert=plain", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *arguments, str(KEYS)]
        )
    return int(code), said.getvalue()


def unseen(mutant: Mutant) -> str | None:
    """None where a test of keys fails with this mutant in this process, else what went otherwise.

    The process is then of no other use.
    """
    module = importlib.import_module(".".join(("edgebuild", *Path(mutant.file).with_suffix("").parts)))
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        return f"{mutant.file} has {text.count(mutant.old)} times {mutant.old!r}: name the line that is there now"
    try:
        change(module, text.replace(mutant.old, mutant.new))
    except Unchanged:
        return f"{mutant.file} does the same with it"
    code, said = run("-k", mutant.seen_by)
    # 1 is a test that failed: not a package that cannot be imported, nor a test that is no more.
    return None if code == 1 and "AssertionError" in said else f"pytest ended with {code}: {said[-1200:]}"


def _tell(mutant: Mutant, answer: Connection) -> None:
    answer.send(unseen(mutant))


def survivors() -> list[str | None]:
    """For each mutant None where a test of keys sees it, else why not.

    Raises RuntimeError where one of these tests fails without any: it would see nothing.
    """
    code, said = run("-k", " or ".join(sorted({mutant.seen_by for mutant in MUTANTS})))
    if code:
        raise RuntimeError(f"without any mutant: {said[-3000:]}")
    context, reasons = multiprocessing.get_context("fork"), []
    for mutant in MUTANTS:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_tell, args=(mutant, there))
        process.start()
        there.close()
        try:
            reasons.append(here.recv())
        except EOFError:
            reasons.append("the process ended without a word")
        process.join()
    return reasons


def main() -> int:
    """Try every mutant; how many nobody saw."""
    reasons = survivors()
    if "--json" in sys.argv:
        print(json.dumps(reasons))
    else:
        for mutant, reason in zip(MUTANTS, reasons, strict=True):
            print(f"{'SURVIVES' if reason else 'seen'}  {mutant.file}: without {mutant.left_out}  {reason or ''}")
    return sum(reason is not None for reason in reasons)


if __name__ == "__main__":
    sys.exit(main())
