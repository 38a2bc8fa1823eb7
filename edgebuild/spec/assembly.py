"""What is shipped: a small graph of parts, usually one, each a file with its runtime, joined by names of tensors."""

from __future__ import annotations

import graphlib
from collections.abc import Iterator
from dataclasses import dataclass

from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.spec.target import Runtime


@dataclass(frozen=True, slots=True)
class End:
    """A tensor of a part by their names; of the whole's own inputs or outputs where `part` is None."""

    part: str | None
    tensor: str

    def __str__(self) -> str:
        return f"{self.part or 'the whole'}.{self.tensor}"


@dataclass(frozen=True, slots=True)
class Route:
    """One end's values go into another's: `source` is an input of the whole or a part's output."""

    source: End
    target: End


@dataclass(frozen=True, slots=True)
class Part:
    """One file, and where and how it is computed; its signature is in the file's own order.

    Tensors are as in PyTorch, whatever the file's layout: its loader sees to that.
    """

    name: str
    file: str
    runtime: Runtime
    signature: Signature


@dataclass(frozen=True, slots=True)
class Assembly:
    """Parts, what goes from where to where, and the signature of the whole. ValueError where they do not fit.

    Every input of a part and every output of the whole has one source of the same shape and type; a part's output may
    lead nowhere, an input of the whole may not. Where a `router` decides which parts run (a module that travels), an
    output of the whole has several sources, of which that takes one; `brings` are modules that travel beside it.
    """

    parts: tuple[Part, ...]
    routing: tuple[Route, ...]
    signature: Signature
    router: str | None = None
    brings: tuple[str, ...] = ()

    @classmethod
    def of_one(cls, file: str, runtime: Runtime, signature: Signature) -> Assembly:
        """The usual case: one file that is the whole."""
        part = Part("model", file, runtime, signature)
        routes = [Route(End(None, spec.name), End(part.name, spec.name)) for spec in signature.inputs]
        routes += [Route(End(part.name, spec.name), End(None, spec.name)) for spec in signature.outputs]
        return cls((part,), tuple(routes), signature)

    @classmethod
    def of_alike(
        cls, parts: tuple[Part, ...], signature: Signature, router: str, brings: tuple[str, ...] = ()
    ) -> Assembly:
        """Parts that each take and answer what the whole does, or half of that, one of which answers."""
        routes = [
            Route(End(None, spec.name), End(part.name, spec.name)) for part in parts for spec in part.signature.inputs
        ]
        routes += [
            Route(End(part.name, spec.name), End(None, spec.name)) for part in parts for spec in part.signature.outputs
        ]
        return cls(parts, tuple(routes), signature, router, brings)

    @property
    def travelling(self) -> tuple[str, ...]:
        """The modules that decide which parts run, and what these need."""
        return (self.router, *self.brings) if self.router else ()

    @property
    def format(self) -> str:
        """What verdicts go by: the format of the part that comes last."""
        return self.ordered()[-1].runtime.format

    def ordered(self) -> tuple[Part, ...]:
        """The parts, each after all that it takes something from."""
        named = {part.name: part for part in self.parts}
        needs: dict[str, list[str]] = {name: [] for name in named}
        for route in self.routing:
            if route.source.part and route.target.part:
                needs[route.target.part].append(route.source.part)
        return tuple(named[name] for name in graphlib.TopologicalSorter(needs).static_order())

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for what, names in (("parts", [p.name for p in self.parts]), ("files", [p.file for p in self.parts])):
            if len({*names}) < len(names) or not names:
                raise ValueError(f"{what} must have different names, not {', '.join(names) or 'none'}")
        sources, targets = dict(self._ends(gives=True)), dict(self._ends(gives=False))
        fed: set[End] = set()
        for route in self.routing:
            self._check(route, sources, targets, fed)
            fed.add(route.target)
        if missing := [str(end) for end in targets if end not in fed]:
            raise ValueError(f"nothing goes into {', '.join(missing)}")
        used = {route.source for route in self.routing}
        if idle := [spec.name for spec in self.signature.inputs if End(None, spec.name) not in used]:
            raise ValueError(f"input {', '.join(idle)} of the whole goes nowhere")
        try:
            self.ordered()
        except graphlib.CycleError as error:
            raise ValueError(f"parts wait for each other: {' → '.join(error.args[1])}") from None

    def _ends(self, *, gives: bool) -> Iterator[tuple[End, TensorSpec]]:
        """The tensors that something comes out of, or that something must go into."""
        for part in self.parts:
            for spec in part.signature.outputs if gives else part.signature.inputs:
                yield End(part.name, spec.name), spec
        for spec in self.signature.inputs if gives else self.signature.outputs:
            yield End(None, spec.name), spec

    def _check(
        self, route: Route, sources: dict[End, TensorSpec], targets: dict[End, TensorSpec], fed: set[End]
    ) -> None:
        for end, known, verb in ((route.source, sources, "comes out of"), (route.target, targets, "goes into")):
            if end not in known:
                raise ValueError(f"nothing {verb} {end} (known: {', '.join(map(str, known))})")
        if route.target in fed and not (self.router and route.target.part is None):
            raise ValueError(f"two things go into {route.target}")
        source, taken = sources[route.source], targets[route.target]
        if (source.shape, source.dtype) != (taken.shape, taken.dtype):
            raise ValueError(f"{_shown(route.source, source)} cannot go into {_shown(route.target, taken)}")


def _shown(end: End, spec: TensorSpec) -> str:
    return f"{end} {list(spec.shape)} {spec.dtype}"
