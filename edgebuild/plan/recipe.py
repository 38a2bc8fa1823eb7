"""Plans a recipe for one runtime: each step on what the one before it made, converted where a step needs a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan import widths
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.packages import need
from edgebuild.plan.weights import Weights, task_code
from edgebuild.spec.checked import check
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.quantization import Quantization, refusal
from edgebuild.spec.registry import FORMATS, STEPS, rewriting, takes
from edgebuild.spec.source import Source
from edgebuild.spec.target import Recipe, Runtime, StepSpec, Target
from edgebuild.spec.technique import Technique
from edgebuild.steps.convert import Convert


@dataclass(frozen=True, slots=True)
class Stage:
    """What one technique of a recipe made: `output` itself, the model before conversion that it comes from (itself, or
    the last one), and the file to weigh.

    A step that changes only values leaves bytes and operations as they were, so one file stands for several stages.
    Where it is `needed`, the step behind it could not stand without it.
    """

    name: str
    number: int
    output: str
    unconverted: str
    file: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """Ids of what the recipe makes for one runtime: the last model before conversion, its float file, the file to
    ship, the float model's own file that the others are compared with, and what each technique made on the way.

    What comes as a file of the runtime's format is its own conversion.
    """

    runtime: Runtime
    unconverted: str
    converted: str
    candidate: str
    baseline: str
    stages: tuple[Stage, ...] = ()


class RecipeError(UsageError):
    """A step of a recipe does not take the model, or what the steps before it make of that for the runtime; another
    recipe may do. `place` is the target and the model, and `recipe` the one that was planned, as the planner knows.
    """

    place: tuple[str, str]
    recipe: Recipe


_MODULE = "torch"

# (format, place in the recipe) of steps that are left out
Without = frozenset[tuple[str, int]]


def reachable(source: Source, target: Target) -> tuple[Runtime, ...]:
    """The runtimes of the target whose files can be made of what the source gives; UsageError for an unknown format."""
    for number, runtime in enumerate(target.runtimes):
        FORMATS.get(runtime.format, file=target.file, key=f"runtimes[{number}].format")
    converted = source.kind in Convert.consumes
    return tuple(runtime for runtime in target.runtimes if converted or runtime.format == source.kind)


class Recipes:
    """Adds the nodes of a target's recipe for one model."""

    def __init__(
        self,
        graph: Graph,
        target: Target,
        model: ModelSpec,
        weights: Weights,
        prefix: str,
        without: Without = frozenset(),
        instruments: Instruments | None = None,
    ) -> None:
        """Check the recipe's steps, and the options that the model gives to any; UsageError for the first mistake."""
        self._graph, self._target, self._model = graph, target, model
        self._weights, self._prefix, self._without = weights, prefix, without
        self._instruments = instruments or Instruments(target)
        self._lines = target.recipe.steps
        for name, options in model.declared.steps.items():
            check(STEPS.get(name, file=model.file, key="steps"), options, file=model.file, prefix=f"steps.{name}")
        self._steps = tuple(self._step(line) for line in self._lines)
        self._check_numbers()
        self._check_final()
        self._check_places()

    @property
    def steps(self) -> tuple[Technique, ...]:
        """The steps with the options that hardware, model and recipe give."""
        return self._steps

    def chain(self, runtime: Runtime) -> Chain:
        """The nodes for one runtime; UsageError for an unknown or misplaced step, option, format or package,
        RecipeError for a step that does not take the model.
        """
        self._need_packages(runtime)
        current = unconverted = self._weights.float
        converted: str | None = None
        outputs: list[tuple[int, str]] = []
        for number, (line, step) in enumerate(zip(self._lines, self._steps, strict=True)):
            if (runtime.format, number) in self._without:
                continue
            kind = self._graph.kind(current)
            if not takes(step, kind):
                self._may_convert(line, step, kind, runtime, number)
                current = converted = self._convert(current, runtime, "convert")
            elif kind == runtime.format:
                converted = converted or current
            current = self._add(line, step, current, runtime, number)
            outputs.append((number, current))
            if self._graph.kind(current) != runtime.format:
                unconverted = current
        if converted is None:
            current = converted = self._convert(unconverted, runtime, "convert")
        baseline = self._convert(self._weights.float, runtime, "baseline")
        return Chain(runtime, unconverted, converted, current, baseline, self._stages(outputs, runtime, converted))

    def _stages(self, outputs: list[tuple[int, str]], runtime: Runtime, converted: str) -> tuple[Stage, ...]:
        """Last first: what is no file yet is weighed as the file of the last one after it with the same operations."""
        stages: list[Stage] = []
        before = [item for _, item in outputs if self._graph.kind(item) != runtime.format]
        for number, item in reversed(outputs):
            if item not in before:
                base = (before or [self._weights.float])[-1]
                stages.append(Stage(self._name(number), number, item, base, item, self._needed(number)))
                continue
            later = stages[-1] if stages and stages[-1].output in before else None
            if later is None:
                file = converted
            elif self._steps[later.number].values_only:
                file = later.file
            else:
                file = self._convert(item, runtime, f"{self._name(number)}-convert")
            stages.append(Stage(self._name(number), number, item, item, file, self._needed(number)))
        return tuple(reversed(stages))

    def _needed(self, number: int) -> bool:
        """Whether the step behind this one could not stand without it."""
        return any(step.misplaced(self._steps[:number]) for step in self._steps[number + 1 : number + 2])

    def _name(self, number: int) -> str:
        """The technique; the second of the same name is `prune_channels-2`."""
        use = self._lines[number].use
        repeated = sum(earlier.use == use for earlier in self._lines[:number])
        return use + (f"-{repeated + 1}" if repeated else "")

    def _need_packages(self, runtime: Runtime) -> None:
        index = self._target.runtimes.index(runtime)
        key = f"runtimes[{index}].format"
        kind = FORMATS.get(runtime.format, file=self._target.file, key=key)
        if runtime.layout is not None and runtime.layout not in kind.layouts:
            reason = f"{runtime.format} files have no inputs and outputs in {runtime.layout!r}"
            hint = f"leave it out, or take {' or '.join(kind.layouts)}"
            raise UsageError(reason, file=self._target.file, key=f"runtimes[{index}].layout", hint=hint)
        need(kind.requires, runtime.format, file=self._target.file, key=key, extra=runtime.format)

    def _check_numbers(self) -> None:
        """UsageError when a second step changes what the file computes in: no quantizer reads a quantized file."""
        done: str | None = None
        for line, step in zip(self._lines, self._steps, strict=True):
            if step.numbers and done:
                reason = f"{line.use!r} cannot follow {done!r}: what a file computes in changes once"
                raise UsageError(reason, file=line.file, key=f"{line.key}.use", hint="keep one of the two")
            done = line.use if step.numbers else done

    def _check_final(self) -> None:
        """UsageError when a step follows one whose result it would throw away."""
        lines = zip(self._lines, self._steps, self._lines[1:], self._steps[1:], strict=False)
        for line, step, after, taking in lines:
            if step.final and {*step.consumes} & {*taking.consumes}:
                reason = f"{after.use!r} cannot follow {line.use!r}, whose result it would throw away"
                raise UsageError(reason, file=after.file, key=f"{after.key}.use", hint=f"put {line.use!r} last")

    def _check_places(self) -> None:
        """UsageError for a step that cannot stand behind those before it."""
        for number, (line, step) in enumerate(zip(self._lines, self._steps, strict=True)):
            if (why := step.misplaced(self._steps[:number])) is not None:
                raise UsageError(f"{line.use!r} {why}", file=line.file, key=line.key)

    def _step(self, line: StepSpec) -> Technique:
        kind = STEPS.get(line.use, file=line.file, key=f"{line.key}.use")
        need(kind.tools, line.use, file=line.file, key=f"{line.key}.use")
        of_model = self._model.declared.steps.get(line.use, {})
        options = {**kind.from_hardware(self._target.hardware), **of_model, **line.options}
        return check(kind, options, file=line.file, prefix=line.key)

    def _may_convert(self, line: StepSpec, step: Technique, kind: str, runtime: Runtime, number: int) -> None:
        """UsageError unless converting makes what the step works on; RecipeError where that is for the model's sake."""
        where = {"file": line.file, "key": f"{line.key}.use"}
        works_on, source = " or ".join(step.consumes), self._weights.source
        if kind == runtime.format == source.kind and self._weights.refusal:
            hint = f"{line.use!r} works on one; recipes of steps for files take it as it is: int8, float16, encode, …"
            shown = f"{self._model.origin}/{self._model.declared.origin.options['file']}"
            raise RecipeError(self._weights.refusal, file=shown, hint=hint)
        if kind == runtime.format == source.kind:
            name = self._model.name
            reason = f"{line.use!r} works on {works_on}, and {name} comes as {kind}, which cannot be trained"
            hint = f"--recipe careful takes it (lossless, if it has integers already); {source.instead}"
            raise RecipeError(reason, **where, hint=hint)
        if kind == runtime.format:
            before = self._lines[number - 1].use
            reason = f"{line.use!r} works on {works_on}, but {before!r} before it makes {kind}"
            raise UsageError(reason, **where, hint=f"move {line.use!r} before {before!r}")
        if not takes(step, runtime.format):
            raise RecipeError(f"{line.use!r} works on {works_on}, not on {runtime.format}", **where)

    def _convert(self, model: str, runtime: Runtime, stage: str) -> str:
        """The float file of a model, which is that file already where it comes in the runtime's format."""
        if self._graph.kind(model) == runtime.format:
            return model
        target_format = FORMATS.get(runtime.format)
        node = Node(
            Convert(runtime.format, runtime.layout),
            {"model": model},
            runtime.format,
            code=(FORMATS.module(runtime.format), *rewriting(runtime.format)),
            tools=target_format.tools,
        )
        return self._graph.add(f"{self._prefix}/{runtime.format}/{stage}", node)

    def _add(self, line: StepSpec, step: Technique, current: str, runtime: Runtime, number: int) -> str:
        self._refuse_unreal(line, step, runtime)
        inputs = {"model": current}
        for role in step.uses():
            inputs |= self._connected(role, step, line) if role != "model" else {}
        if (timed := step.timed()) is not None:
            inputs |= widths.add(self._graph, self._target, self._instruments, current, timed, self._later(number))
        kind = step.produces or self._graph.kind(current)
        of_format = kind == runtime.format
        taught_by = self._runtimes(item for role, item in inputs.items() if role.partition("/")[0] == "teacher")
        learning = task_code(self._model) if "data" in inputs else ()
        node = Node(
            step,
            inputs,
            kind,
            code=((FORMATS.module(runtime.format),) if of_format else ()) + learning + taught_by[0],
            tools=(FORMATS.get(runtime.format).tools if of_format else ()) + taught_by[1],
        )
        stage = self._name(number)
        label = f"{self._prefix}/{runtime.format}/{stage}" if of_format else f"{self._prefix}/{stage}"
        return self._graph.add(label, node)

    def _runtimes(self, items: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Modules and distributions that run what comes as a file among them, as a teacher may."""
        kinds = sorted({self._graph.kind(item) for item in items} & {*FORMATS.names()})
        formats = [FORMATS.get(kind) for kind in kinds]
        return tuple(kind.loader for kind in formats), tuple(kind.runtime for kind in formats)

    def _later(self, number: int) -> Mapping[str, Quantization | None]:
        """How files of each format are quantized further on: time is counted in the numbers that are shipped."""
        quantized = [(at, how) for at, step in enumerate(self._steps) if (how := step.quantization()) and at > number]
        return {
            runtime.format: next((how for at, how in quantized if (runtime.format, at) not in self._without), None)
            for runtime in self._target.runtimes
        }

    def _refuse_unreal(self, line: StepSpec, step: Technique, runtime: Runtime) -> None:
        """RecipeError for a quantization that no kernel of the runtime computes."""
        how = step.quantization()
        if how is None:
            return
        kind = FORMATS.get(runtime.format)
        gap = refusal(kind.real, kind.unreal, how)
        if gap is not None:
            reason = f"{line.use!r} cannot be had on {runtime.format} with these options: {gap.reason}"
            raise RecipeError(reason, file=line.file, key=line.key, hint=f"instead: {gap.instead}")

    def _connected(self, role: str, step: Technique, line: StepSpec) -> dict[str, str]:
        """What a step gets for a role that it needs: every further teacher has a role `teacher/<number>` of its own."""
        first, *others = self._weights.teachers
        known = {"data": self._weights.data, "teacher": first, "code": self._weights.code}
        if role not in known:
            reason = f"{line.use!r} needs {role!r}, which no plan can give"
            raise UsageError(reason, file=line.file, key=f"{line.key}.use")
        more = {f"teacher/{number}": item for number, item in enumerate(others, 2)} if role == "teacher" else {}
        connected = {role: known[role]} | more
        if role in step.opens() and any(self._graph.kind(item) != _MODULE for item in connected.values()):
            reason = f"{line.use!r} looks into its {role} with these options, and of one that comes as a file only the "
            raise RecipeError(f"{reason}answers are known", file=line.file, key=line.key)
        return connected
