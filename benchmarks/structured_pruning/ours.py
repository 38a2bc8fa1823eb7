"""Prunes one architecture with our engine, checks and converts it: `python ours.py NAME` prints JSON."""

from __future__ import annotations

import copy
import json
import resource
import sys
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.structured_pruning.architectures import example, network, parameters
from edgebuild.nn import comparison
from edgebuild.nn.prune import channels, importance, shares, units
from edgebuild.nn.prune.dependencies import numbers_of
from edgebuild.nn.prune.slicing import silenced
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    from torch import nn

    from edgebuild.nn.prune.channels import Inventory
    from edgebuild.nn.prune.units import Units

    Chosen = Sequence[tuple[Units, Collection[int]]]

RATIO = 0.5
BATCHES = (1, 3)


def pruned(name: str) -> dict[str, Any]:
    """What goes of an architecture, and how far the answers are from those of the same channels silenced."""
    torch.set_num_threads(1)
    net, given = network(name), example(name)
    started = time.process_time()
    stock = channels.inventory(net, given, (), 1)
    taken = time.process_time() - started
    chosen = _least(net, stock)
    small = copy.deepcopy(net)
    stock.remove(small, chosen)
    return {
        "name": name,
        "parameters": parameters(net),
        "groups": len(stock.units),
        "whole": dict(stock.whole),
        "unfollowed": len(stock.unfollowed),
        "seconds": taken,
        "lost": 1 - parameters(small) / parameters(net),
        "difference": max(_difference(name, net, small, stock, chosen, batch) for batch in BATCHES),
        **{kind: _converted(kind, small, given) for kind in ("onnx", "tflite")},
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def _least(net: nn.Module, stock: Inventory) -> Chosen:
    """The least of every group by magnitude."""
    subject = importance.Subject(net, _nothing, _nothing, norm=2, seed=0)
    scores = units.scored(stock.units, importance.criterion("magnitude", subject))
    able = [one for one in stock.units if one.name in scores and not one.fixed]
    ratios = {one.name: RATIO for one in able}
    stay = shares.rounded(able, shares.shares(able, ratios, {one.name: len(one.members) for one in able}))
    return units.least(able, scores, stay)


def _nothing() -> Any:
    raise AssertionError("magnitude needs no data")


def _difference(name: str, net: nn.Module, small: nn.Module, stock: Inventory, chosen: Chosen, batch: int) -> float:
    """The largest in double precision, relative to the largest answer."""
    given = tuple(one.double() if one.is_floating_point() else one for one in example(name, batch))
    silent = copy.deepcopy(net).double()
    gone = numbers_of([(one.group, numbers) for one, numbers in chosen])
    answers = comparison.answers(copy.deepcopy(small).double(), given)
    with silenced(silent, stock.proven.dependencies.traced, gone):
        wanted = comparison.answers(silent, given)
    return max(_apart(*pair) for pair in zip(answers, wanted, strict=True))


def _converted(kind: str, small: nn.Module, given: tuple[Any, ...]) -> float | str:
    """The largest difference of the file's answers, relative to the largest; or why there is no file."""
    from edgebuild.spec import layout

    made = FORMATS.get(kind)()
    try:
        file = made.convert(small, given, layout.NCHW)
        (answers,) = made.run(file, [tuple(one.numpy() for one in given)])
    except Exception as error:  # converters fail in any way
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:120]}"
    pairs = zip(map(torch.from_numpy, answers), comparison.answers(small, given), strict=True)
    return max(_apart(one.reshape(other.shape), other) for one, other in pairs)


def _apart(one: Any, other: Any) -> float:
    return float((one - other).abs().max() / (other.abs().max() + 1e-12))


if __name__ == "__main__":
    print(json.dumps(pruned(sys.argv[1])))
