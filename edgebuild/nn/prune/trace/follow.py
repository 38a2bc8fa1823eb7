"""Follows channel numbers through every operator that a module executes (torch.export's functional ATen graph)."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune.trace.call import Call, Notes, Rule, place
from edgebuild.nn.prune.trace.numbers import Numbers
from edgebuild.nn.prune.trace.parts import Part, exported
from edgebuild.nn.prune.trace.rules import carried, layers, moves
from edgebuild.nn.prune.trace.value import Value
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

    from edgebuild.nn.prune.trace.numbers import Ids

    Example = tuple[Tensor, ...]

OUTPUT = "it makes an output"
_CONSTANT = 2**22  # elements of whole numbers that are worth keeping as indices
RULES: Mapping[str, Rule] = {**moves.RULES, **carried.RULES, **layers.RULES}


@dataclass(frozen=True, slots=True)
class Traced:
    """All numbers of a module, those of each axis of its parameters and buffers, and what rules noted.

    families: axes into which others were split
    outside: why whatever lies outside of the parts that were followed stays whole
    """

    numbers: Numbers
    parameters: Mapping[str, Value]
    notes: Notes
    families: Sequence[Ids]
    outside: Mapping[str, str] = field(default_factory=dict)


def trace(module: nn.Module, example: Example) -> Traced:
    """Follow the module in eval mode, or its parts that can be exported; UsageError, with the place, where none can."""
    every = exported(module, example)
    numbers, notes, parameters = Numbers(), Notes(), dict[str, Value]()
    for part in every.parts:
        _Walk(part, canonical(module), numbers, notes, parameters).follow()
    outside = {} if every.why is None else {_all_but(every.parts): f"it cannot be exported: {every.why}"}
    return Traced(numbers, parameters, notes, numbers.families, outside)


def _all_but(parts: Sequence[Part]) -> str:
    return "all but " + ", ".join(part.name for part in parts)


def canonical(module: nn.Module) -> dict[str, str]:
    """One name for each parameter and buffer that has several."""
    first: dict[int, str] = {}
    every = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    return {name: first.setdefault(id(held), name) for name, held in every}


class _Walk:
    """A walk through a part; what several parts have in common they number alike."""

    def __init__(
        self,
        part: Part,
        canonical: Mapping[str, str],
        numbers: Numbers,
        notes: Notes,
        parameters: dict[str, Value],
    ) -> None:
        self._part, self._program, self._canonical = part, part.program, canonical
        self._numbers, self._notes, self._parameters = numbers, notes, parameters
        self._known: dict[fx.Node, Any] = {}

    def follow(self) -> None:
        """Follow every operator."""
        import torch

        with torch.no_grad():
            for node in self._program.graph.nodes:
                if node.op == "placeholder" and node.users:
                    self._known[node] = self._given(node)
                elif node.op == "call_function":
                    self._known[node] = self._called(node)
                elif node.op == "output":
                    self._ends(node)

    def _given(self, node: fx.Node) -> Any:
        import torch

        signature, name = self._program.graph_signature, node.name
        kinds = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        if name in kinds:
            full = self._part.full(kinds[name])
            return self._parameter(self._canonical.get(full, full), kinds[name])
        value = node.meta.get("val")
        constant = self._program.constants.get(signature.inputs_to_lifted_tensor_constants.get(name, ""))
        if constant is not None:
            return self._fixed(constant.shape, "a constant in the code", _whole(constant))
        kind = f"an input of {self._part.name!r}" if self._part.name else f"the input {name!r}"
        return self._fixed(value.shape, kind) if isinstance(value, torch.Tensor) else value

    def _parameter(self, name: str, known_as: str) -> Value:
        if name not in self._parameters:
            held = {**self._program.state_dict, **self._program.constants}[known_as]
            axes = tuple(self._numbers.fresh(size) for size in held.shape)
            self._parameters[name] = Value(axes, _whole(held), name)
        return self._parameters[name]

    def _fixed(self, shape: Sequence[int], kind: str, constant: Tensor | None = None) -> Value:
        return Value(tuple(self._numbers.fixed(kind, size) for size in shape), constant)

    def _called(self, node: fx.Node) -> Any:
        if node.target is operator.getitem:
            return self._known[node.args[0]][node.args[1]]  # type: ignore[index]
        fake = node.meta.get("val")
        if fake is None:  # an assertion: it says nothing about channels
            return None
        many = isinstance(fake, list | tuple)
        shapes = [tuple(one.shape) if hasattr(one, "shape") else () for one in (fake if many else [fake])]
        call = self._call(node, shapes)
        try:
            results = self._rule(node, call)(call)
            if [value.shape for value in results[: len(shapes)]] != shapes:
                results = layers.unknown(call)
        except Exception as error:  # a rule that does not know this form of its operator
            if exhausted(error):
                raise
            results = layers.unknown(call)
        self._computed(node, call)
        constant = self._constant(node, fake)
        if constant is not None and not many:
            results[0] = Value(results[0].axes, constant, results[0].parameter)
        return results if many else results[0]

    def _computed(self, node: fx.Node, call: Call) -> None:
        """A weight that code computes from a parameter of its shape (standardized, normalized) is that layer's."""
        weight = call.arguments.get("weight")
        if call.name not in layers.MAKING or not isinstance(weight, Value) or weight.parameter is not None:
            return
        for name in self._from_parameters(node.args[1]):
            held = self._parameters[name]
            if held.shape == weight.shape:
                call.born(held, held.axes[1 if call.name.startswith("conv_transpose") else 0])

    def _from_parameters(self, node: Any) -> list[str]:
        """The parameters that a value is computed from; none where an input has a part in it."""
        sources, left = {node}, [node]
        while left:
            fresh = {*left.pop().all_input_nodes} - sources
            sources |= fresh
            left += fresh
        given = [self._known[one] for one in sources if one.op == "placeholder"]
        names = [value.parameter for value in given if isinstance(value, Value)]
        return [name for name in names if name is not None] if None not in names else []

    def _rule(self, node: fx.Node, call: Call) -> Rule:
        import torch

        if call.name in RULES:
            return RULES[call.name]
        tags = getattr(node.target, "tags", ())
        return carried.pointwise if torch.Tag.pointwise in tags else layers.unknown

    def _call(self, node: fx.Node, shapes: Sequence[tuple[int, ...]]) -> Call:
        assert not isinstance(node.target, str)
        schema = getattr(node.target, "_schema", None)
        name = schema.name.partition("::")[2] if schema else str(node.target)
        names = [argument.name for argument in schema.arguments] if schema else [str(k) for k in range(len(node.args))]
        defaults = {a.name: a.default_value for a in schema.arguments if a.has_default_value()} if schema else {}
        bound = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
        arguments = defaults | {key: self._value(one) for key, one in bound.items()}
        line = place(node.meta.get("stack_trace"))
        where = f"{name} ({line})" if line else name
        stack = [self._part.full(entry[0]) for entry in (node.meta.get("nn_module_stack") or {}).values()]
        return Call(
            name, arguments, tuple(shapes), self._numbers, self._notes, where, tuple(reversed(stack)), node.target
        )

    def _value(self, argument: Any) -> Any:
        from torch import fx

        return fx.node.map_arg(argument, lambda node: self._known[node])

    def _constant(self, node: fx.Node, fake: Any) -> Tensor | None:
        """The result, where whole numbers or truth values are computed from nothing but such."""
        import torch

        plain = isinstance(fake, torch.Tensor) and not fake.is_floating_point() and fake.numel() < _CONSTANT
        known = [self._known[one] for one in node.all_input_nodes]
        if not plain or any(not isinstance(one, Value) or one.constant is None for one in known):
            return None
        args, kwargs = fx_values(node, self._known)
        result: Tensor = node.target(*args, **kwargs)  # type: ignore[operator]
        return result

    def _ends(self, node: fx.Node) -> None:
        from torch.export.graph_signature import OutputKind

        why = f"it leaves {self._part.name!r}, around which nothing can be exported" if self._part.name else OUTPUT
        for spec, value in zip(self._program.graph_signature.output_specs, self._value(node.args[0]), strict=True):
            if not isinstance(value, Value):
                continue
            if spec.kind is OutputKind.BUFFER_MUTATION and spec.target is not None:
                self._keeps(spec.target, value)
                continue
            for ids in value.axes:
                self._numbers.protect(ids, why)

    def _keeps(self, buffer: str, value: Value) -> None:
        """What a buffer keeps for the next run goes with its own places."""
        full = self._part.full(buffer)
        held = self._parameter(self._canonical.get(full, full), buffer)
        for ours, theirs in zip(held.axes, value.axes, strict=True):
            self._numbers.unite(ours, theirs, f"what {full!r} keeps")


def fx_values(node: fx.Node, known: Mapping[fx.Node, Any]) -> tuple[Any, Any]:
    """A node's arguments with constants in the place of nodes."""
    from torch import fx

    return fx.node.map_arg((node.args, node.kwargs), lambda one: known[one].constant)


def _whole(held: Tensor) -> Tensor | None:
    return held if not held.is_floating_point() and held.numel() < _CONSTANT else None
