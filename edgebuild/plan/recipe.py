"""Plans a recipe for one runtime: each step on what the one before it made, converted where a step needs a file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan.packages import need
from edgebuild.plan.weights import Weights
from edgebuild.spec.artifact import Step, needed
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import check
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.quantization import refusal
from edgebuild.spec.registry import FORMATS, STEPS
from edgebuild.spec.target import Runtime, StepSpec, Target
from edgebuild.steps.convert import Convert


@dataclass(frozen=True, slots=True)
class Stage:
    """What one technique of a recipe made: `made` itself, the torch model it comes from, and the file to weigh.

    A step that changes only values leaves bytes and operations as they were, so one file stands for several stages.
    """

    name: str
    number: int
    made: str
    torch: str
    file: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Ids of what the recipe makes for one runtime: the last torch model, its float file, the file to ship,
    the float model's own file that the others are compared with, and what each technique made on the way.
    """

    runtime: Runtime
    torch: str
    converted: str
    candidate: str
    baseline: str
    stages: tuple[Stage, ...] = ()


# (format, place in the recipe) of steps that are left out
Without = frozenset[tuple[str, int]]


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
    ) -> None:
        """Check the recipe's steps, and the options that the model gives to any; UsageError for the first mistake."""
        self._graph, self._target, self._model = graph, target, model
        self._weights, self._prefix, self._without = weights, prefix, without
        self._lines = target.recipe.steps
        for name, options in model.declared.steps.items():
            check(STEPS.get(name, file=model.file, key="steps"), options, file=model.file, prefix=f"steps.{name}")
        self._steps = tuple(self._step(line) for line in self._lines)
        self._check_numbers()
        self._check_final()

    def chain(self, runtime: Runtime) -> Chain:
        """The nodes for one runtime; UsageError for an unknown or misplaced step, option, format or package."""
        self._need_packages(runtime)
        current, torch, converted = self._weights.float, self._weights.float, None
        made: list[tuple[int, str]] = []
        for number, (line, step) in enumerate(zip(self._lines, self._steps, strict=True)):
            if (runtime.format, number) in self._without:
                continue
            kind = self._graph.kind(current)
            if kind not in step.consumes:
                self._may_convert(line, step, kind, runtime, number)
                current = converted = self._convert(current, runtime, "convert")
            current = self._add(line, step, current, runtime, number)
            made.append((number, current))
            if self._graph.kind(current) == "torch":
                torch = current
        if converted is None:
            current = converted = self._convert(torch, runtime, "convert")
        baseline = self._convert(self._weights.float, runtime, "baseline")
        return Chain(runtime, torch, converted, current, baseline, self._stages(made, runtime, converted))

    def _stages(self, made: list[tuple[int, str]], runtime: Runtime, converted: str) -> tuple[Stage, ...]:
        """Last first: a torch model is weighed as the file of the last one after it that has the same operations."""
        found: list[Stage] = []
        torch = [item for _, item in made if self._graph.kind(item) == "torch"]
        for number, item in reversed(made):
            if item not in torch:
                found.append(Stage(self._name(number), number, item, (torch or [self._weights.float])[-1], item))
                continue
            later = found[-1] if found and found[-1].made in torch else None
            if later is None:
                file = converted
            elif getattr(self._steps[later.number], "values_only", False):
                file = later.file
            else:
                file = self._convert(item, runtime, f"{self._name(number)}-convert")
            found.append(Stage(self._name(number), number, item, item, file))
        return tuple(reversed(found))

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
            told = f"{runtime.format} files have no inputs and outputs in {runtime.layout!r}"
            hint = f"leave it out, or take {' or '.join(kind.layouts)}"
            raise UsageError(told, file=self._target.file, key=f"runtimes[{index}].layout", hint=hint)
        need(kind.requires, runtime.format, file=self._target.file, key=key, extra=runtime.format)

    def _check_numbers(self) -> None:
        """UsageError when a second step changes what the file computes in: no quantizer reads a quantized file."""
        done: str | None = None
        for line, step in zip(self._lines, self._steps, strict=True):
            numbers = getattr(step, "numbers", None)
            if numbers and done:
                told = f"{line.use!r} cannot follow {done!r}: what a file computes in changes once"
                raise UsageError(told, file=line.file, key=f"{line.key}.use", hint="keep one of the two")
            done = line.use if numbers else done

    def _check_final(self) -> None:
        """UsageError when a step follows one whose result it would throw away."""
        lines = zip(self._lines, self._steps, self._lines[1:], self._steps[1:], strict=False)
        for line, step, after, taking in lines:
            if getattr(step, "final", False) and {*step.consumes} & {*taking.consumes}:
                told = f"{after.use!r} cannot follow {line.use!r}, whose result it would throw away"
                raise UsageError(told, file=after.file, key=f"{after.key}.use", hint=f"put {line.use!r} last")

    def _step(self, line: StepSpec) -> Step:
        kind = STEPS.get(line.use, file=line.file, key=f"{line.key}.use")
        need(kind.tools, line.use, file=line.file, key=f"{line.key}.use")
        given = self._from_hardware(kind) | dict(self._model.declared.steps.get(line.use, {})) | dict(line.options)
        step: Step = check(kind, given, file=line.file, prefix=line.key)
        return step

    def _from_hardware(self, kind: Any) -> dict[str, Any]:
        """Options whose default is a property of the target's hardware."""
        named = {f.name: f.metadata.get("from_hardware") for f in dataclasses.fields(kind)}
        return {name: getattr(self._target.hardware, source) for name, source in named.items() if source}

    def _may_convert(self, line: StepSpec, step: Step, kind: str, runtime: Runtime, number: int) -> None:
        """UsageError unless converting makes what the step works on."""
        where = {"file": line.file, "key": f"{line.key}.use"}
        takes = " or ".join(step.consumes)
        if kind != "torch":
            before = self._lines[number - 1].use
            told = f"{line.use!r} works on {takes}, but {before!r} before it makes {kind}"
            raise UsageError(told, **where, hint=f"move {line.use!r} before {before!r}")
        if runtime.format not in step.consumes:
            raise UsageError(f"{line.use!r} works on {takes}, not on {runtime.format}", **where)

    def _convert(self, model: str, runtime: Runtime, stage: str) -> str:
        target_format = FORMATS.get(runtime.format)
        node = Node(
            Convert(runtime.format, runtime.layout),
            {"model": model},
            runtime.format,
            code=(FORMATS.module(runtime.format),),
            tools=target_format.tools,
        )
        return self._graph.add(f"{self._prefix}/{runtime.format}/{stage}", node)

    def _add(self, line: StepSpec, step: Step, current: str, runtime: Runtime, number: int) -> str:
        self._refuse_unreal(line, step, runtime)
        inputs = {"model": current}
        for role in needed(step):
            inputs |= self._connected(role, line) if role != "model" else {}
        kind = step.produces or self._graph.kind(current)
        of_format = kind == runtime.format
        node = Node(
            step,
            inputs,
            kind,
            code=(FORMATS.module(runtime.format),) if of_format else (),
            tools=FORMATS.get(runtime.format).tools if of_format else (),
        )
        stage = self._name(number)
        label = f"{self._prefix}/{runtime.format}/{stage}" if of_format else f"{self._prefix}/{stage}"
        return self._graph.add(label, node)

    def _refuse_unreal(self, line: StepSpec, step: Step, runtime: Runtime) -> None:
        """UsageError for a quantization that no kernel of the runtime computes."""
        if not hasattr(step, "quantization"):
            return
        kind = FORMATS.get(runtime.format)
        gap = refusal(kind.real, kind.unreal, step.quantization())
        if gap is not None:
            told = f"{line.use!r} cannot be had on {runtime.format} with these options: {gap.reason}"
            raise UsageError(told, file=line.file, key=line.key, hint=f"instead: {gap.instead}")

    def _connected(self, role: str, line: StepSpec) -> dict[str, str]:
        """What a step gets for a role that it needs: every further teacher has a role `teacher/<number>` of its own."""
        first, *others = self._weights.teachers
        known = {"data": self._weights.data, "teacher": first, "source": self._weights.source}
        if role not in known:
            told = f"{line.use!r} needs {role!r}, which no plan can give"
            raise UsageError(told, file=line.file, key=f"{line.key}.use")
        more = {f"teacher/{number}": item for number, item in enumerate(others, 2)} if role == "teacher" else {}
        return {role: known[role]} | more
