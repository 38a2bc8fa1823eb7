"""Prunes one architecture with TinyNeuralNetwork: `python prune.py NAME` prints the share that went."""

from __future__ import annotations

import json
import logging
import sys

import torch
from architectures import example, network, output_layers, parameters
from tinynn.prune.oneshot_pruner import OneShotChannelPruner


def main(name: str) -> None:
    """As its examples do it: L2 norms, half of all channels, the layers of the classes left alone."""
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    net, given = network(name), example(name)
    before, kept = parameters(net), {*output_layers(net)}
    pruner = OneShotChannelPruner(net, given[0], {"sparsity": 0.5, "metrics": "l2_norm"})
    for node in pruner.center_nodes:
        if node.module in kept:
            pruner.sparsity[node.unique_name] = 0.0
    pruner.prune()
    with torch.no_grad():
        for batch in (1, 3):
            net(*example(name, batch))
    print(json.dumps({"lost": 1 - parameters(net) / before}))


if __name__ == "__main__":
    main(sys.argv[1])
