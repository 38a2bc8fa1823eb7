"""A network that is asked for by its name, such as timm:efficientnet_lite0: what it takes, answers and is told."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.engine import apart
from edgebuild.plan.packages import need
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.look import Look
from edgebuild.spec.outputs import USUAL_TASK
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.source import SOURCES
from edgebuild.verbs import inspect
from edgebuild.verbs._quiet import runtimes_silent
from edgebuild.verbs.drafting import examples, script, toml
from edgebuild.verbs.drafting.script import Script
from edgebuild.verbs.inspect import Inspected
from edgebuild.verbs.preloading import preload_reader

if TYPE_CHECKING:
    from edgebuild.engine.apart import Patience
    from edgebuild.nn.network import Network
    from edgebuild.spec.look import Usual
    from edgebuild.spec.signature import Element
    from edgebuild.verbs.drafting.examples import Recognised
    from edgebuild.verbs.drafting.interview import Interview

RANDOM = "random"  # as the sources have it
IMPORTED = "package"  # the source of what is imported from MODULE:CLASS
BUILT = "torch"  # the source of what the project's own code builds
_TRIED = 100  # combinations of element types: all those of four inputs


def asked(text: str, options: tuple[str, ...], include: Sequence[Path] = ()) -> Network | Script | None:
    """The network that `use:name`, MODULE:CLASS or FILE.py:NAME names; None for the path of a model file.

    UsageError for an option that is none.
    """
    from edgebuild.nn.network import Network

    if (own := script.asked(text, dict(_option(each) for each in options), include)) is not None:
        return own
    if include:
        raise UsageError("is for a class or function of a Python file, such as net.py:Net", key="--include")
    use, colon, name = text.partition(":")
    if colon and not Path(text).exists() and use not in SOURCES.names() and _importable(use):
        use, name = IMPORTED, text
    if not colon or Path(text).exists() or use not in SOURCES.names() or not SOURCES.get(use).named:
        if options:
            reason = "is for a network by its name, such as timm:resnet18, or net.py:Net"
            raise UsageError(reason, key="--option")
        return None
    kind = SOURCES.get(use)
    need(kind.requires, f"a network of {use}", file=text, key=None, extra=kind.extra)
    return Network(use, name, dict(_option(each) for each in options))


def shown(network: Network | Script) -> str:
    """As it was asked for."""
    return f"{network.use}:{network.name}"


def inspected(network: Network | Script, weights: str, patience: Patience | None = None) -> Inspected:
    """What is known of it before any data: UsageError for an unknown name, and for weights that cannot be read."""
    size = 0 if weights == RANDOM else inspect.run(Path(weights), patience).look.bytes
    look = Look(f"{network.name} of {network.use}", _usual(network).inputs, bytes=size)
    source = BUILT if isinstance(network, Script) else network.use
    return Inspected(shown(network), source, look, (), {}, ())


def completed(interview: Interview, network: Network | Script, data: Recognised) -> Network | Script:
    """Told how many classes the data has, where nobody said it and a package knows what they are called."""
    if data == examples.NOISE or isinstance(network, Script):
        return network
    key, guess = _usual(network).classes, data.guess
    count = len(guess.classes) or guess.count
    if key in network.options or interview.wishes.task not in (None, USUAL_TASK) or guess.task != USUAL_TASK:
        return network
    interview.guesses.append(f"{key} is {count}, as many as the data has classes; --option {key}=… says otherwise")
    return replace(network, options={**network.options, key: count})


def fitted(interview: Interview, taken: tuple[TensorSpec, ...], data: Recognised) -> tuple[TensorSpec, ...]:
    """The inputs as large as examples that go in as they are, where nobody said it and only the usual size is known."""
    example = data.guess.example
    if isinstance(interview.network, Script) or interview.wishes.shapes or len(taken) != 1:
        return taken
    (spec,) = taken
    other = len(example) == len(spec.shape) and example[:1] == spec.shape[:1] and example != spec.shape
    if not other:
        return taken
    sizes = ",".join(map(str, (1, *spec.shape)))
    interview.guesses.append(
        f"input {spec.name!r} is {list(example)}, as the examples are; --shape {spec.name}={sizes} is what is usual"
    )
    return (replace(spec, shape=example),)


def answers(
    network: Network | Script, inputs: tuple[TensorSpec, ...], patience: Patience | None = None
) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape of one example and type of each output, as zeros are answered; UsageError where they are not.

    Keys and fields of the answer are the names; one that is an input's as well has another.
    """
    preload_reader(SOURCES.get(IMPORTED).kind)
    return apart.call(partial(_answers, network, inputs), shown(network), patience)


def typed(
    network: Network | Script,
    inputs: tuple[TensorSpec, ...],
    kinds: Mapping[str, Sequence[Element]],
    patience: Patience | None = None,
) -> tuple[TensorSpec, ...]:
    """The inputs with the first element types, of those that each may have, whose zeros are answered; as they are where
    none are, which `answers` then says.

    kinds: by the names of inputs, the likeliest first
    """
    preload_reader(SOURCES.get(IMPORTED).kind)
    return apart.call(partial(_typed, network, inputs, kinds), shown(network), patience)


def _typed(
    network: Network | Script, inputs: tuple[TensorSpec, ...], kinds: Mapping[str, Sequence[Element]]
) -> tuple[TensorSpec, ...]:
    """The same: somebody's code is run."""
    import torch

    from edgebuild.nn import taking
    from edgebuild.nn.model_code import example

    try:
        with runtimes_silent():
            module = network.module().eval()
    except UsageError as error:
        raise _placed(network, error) from None
    for types in islice(product(*kinds.values()), _TRIED):
        chosen = dict(zip(kinds, types, strict=True))
        specs = tuple(replace(spec, dtype=chosen.get(spec.name, spec.dtype)) for spec in inputs)
        try:
            with torch.no_grad(), runtimes_silent():
                taking.answered(module, specs, example(specs, 1))
        except Exception as error:  # a forward pass may fail in any way
            if exhausted(error):
                raise
        else:
            return specs
    return inputs


def _answers(network: Network | Script, inputs: tuple[TensorSpec, ...]) -> list[tuple[str, tuple[int, ...], str]]:
    """The same: somebody's code is run."""
    import torch

    from edgebuild.nn import taking
    from edgebuild.nn.answers import listed, names
    from edgebuild.nn.model_code import example

    called: list[str] = []
    hint: str | None = None

    def see(_: Any, __: Any, answer: Any) -> None:
        called[:] = names(answer)

    try:
        with torch.no_grad(), runtimes_silent():
            module = network.module().eval()
            hint = taking.hint(module, inputs)
            module.register_forward_hook(see, prepend=True)  # before what makes a plain tuple of the answer
            tensors = listed(taking.answered(module, inputs, example(inputs, 1)))
    except UsageError as error:
        raise _placed(network, error) from None
    except Exception as error:  # a forward pass may fail in any way
        taken = "; ".join(f"{spec.name} {list(spec.shape)}" for spec in inputs)
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"does not take {taken}: {reason}", file=shown(network), key="--shape", hint=hint) from None
    fed = {spec.name for spec in inputs}
    return [
        (f"{name}_out" if name in fed else name, tuple(tensor.shape[1:]), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in zip(called, tensors, strict=True)
    ]


def table(network: Network, weights: str) -> list[str]:
    """The lines of [source]."""
    file = RANDOM if weights == RANDOM else Path(weights).name
    lines = ["[source]", *(f"{key} = {toml.quoted(value)}" for key, value in _named(network, file))]
    pairs = ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in network.options.items())
    return [*lines, f"options = {{{pairs}}}"] if pairs else lines


def preparation(network: Network | Script, channels: int) -> tuple[tuple[float, ...], tuple[float, ...], float | None]:
    """Mean and deviation of pixels, and the crop, with which the network is usually trained; none where unknown."""
    usual = _usual(network)
    fits = len(usual.mean) in (1, channels)
    return (usual.mean, usual.std, usual.crop) if fits else ((), (), usual.crop)


def _named(network: Network, file: str) -> list[tuple[str, str]]:
    return [("use", network.use), ("name", network.name), ("weights", file)]


def _usual(network: Network | Script) -> Usual:
    try:
        with runtimes_silent():
            return network.usual()
    except UsageError as error:
        raise _placed(network, error) from None


def _placed(network: Network | Script, error: UsageError) -> UsageError:
    key = "--option" if error.key and error.key.startswith("options") else None
    return UsageError(error.reason, file=shown(network), key=key, hint=error.hint)


def _importable(module: str) -> bool:
    top = module.partition(".")[0]
    return top.isidentifier() and importlib.util.find_spec(top) is not None


def _option(text: str) -> tuple[str, Any]:
    """One KEY=VALUE: a number, true, false, or a word."""
    key, equals, value = text.partition("=")
    if not key.isidentifier() or not equals:
        raise UsageError(f"{text!r} is not KEY=VALUE, such as num_classes=10", key="--option")
    try:
        parsed = json.loads(value)
    except ValueError:
        return key, value
    if parsed is None or isinstance(parsed, dict):
        raise UsageError(f"{text!r} has no number, word or list as its value", key="--option")
    return key, parsed
