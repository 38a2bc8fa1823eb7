"""Prunes one architecture with Torch-Pruning: `python prune.py NAME` prints the share that went."""

from __future__ import annotations

import json
import sys

import torch
import torch_pruning
from architectures import example, network, output_layers, parameters


def main(name: str) -> None:
    """As its examples do it: group magnitudes, half of all channels, the layers of the classes left alone."""
    torch.set_num_threads(1)
    net, given = network(name), example(name)
    before = parameters(net)
    pruner = torch_pruning.pruner.BasePruner(
        net,
        given[0],
        torch_pruning.importance.GroupMagnitudeImportance(),
        pruning_ratio=0.5,
        ignored_layers=output_layers(net),
    )
    pruner.step()
    with torch.no_grad():
        for batch in (1, 3):
            net(*example(name, batch))
    print(json.dumps({"lost": 1 - parameters(net) / before}))


if __name__ == "__main__":
    main(sys.argv[1])
