"""Torch-Pruning's group pruning to a number of operations: `python torch_pruning_side.py WEIGHTS MACS OUTPUT`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch_pruning
from network import ResNet20, inner, trained


def main(weights: str, macs: int, output: Path) -> None:
    """The largest that is no larger, by bisection of its ratio.

    It cannot follow shortcuts that fill up with zeros, so what they join is left alone by name.
    """
    low, high = 0.0, 0.95
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _macs(_pruned(weights, middle)) > macs else (low, middle)
    torch.save(_pruned(weights, high).state_dict(), output)


def _pruned(weights: str, ratio: float) -> ResNet20:
    net = trained(Path(weights) if weights != "-" else None)
    kept = [net.conv1, net.linear, *(block.conv2 for block in inner(net))]
    importance = torch_pruning.importance.GroupMagnitudeImportance()
    example = torch.zeros(1, 3, 32, 32)
    torch_pruning.pruner.BasePruner(net, example, importance, pruning_ratio=ratio, ignored_layers=kept).step()
    return net


def _macs(net: ResNet20) -> float:
    return float(torch_pruning.utils.count_ops_and_params(net, torch.zeros(1, 3, 32, 32))[0])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
