"""What workers are forked with changes nothing but their time: it starts no thread, and files come out the same."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edgebuild.spec.registry import FORMATS
from edgebuild.spec.surroundings import SINGLE
from edgebuild.verbs.preloading import USUAL

MODULES = list(dict.fromkeys((*USUAL, *(name for kind in FORMATS.usable().values() for name in kind.preloads))))
CONVERTED = """
import hashlib, importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
import torch
from torch import nn
from edgebuild.spec.registry import FORMATS
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4))
    def forward(self, x):
        x = nn.functional.interpolate(nn.functional.hardswish(self.stem(x)), scale_factor=2.0)
        x = self.norm(x.flatten(2).transpose(1, 2))
        return self.head(self.attention(x, x, x)[0].mean(1))
torch.manual_seed(0)
made = FORMATS.get(sys.argv[1])().convert(Net().eval(), (torch.rand(1, 3, 6, 6),))
print(hashlib.sha256(made).hexdigest())
"""
LEARNT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
import torch
from edgebuild.nn.train import training
before = {*sys.modules}
training.seeded(0)
net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten(), torch.nn.Linear(8, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
torch.nn.functional.cross_entropy(net(torch.rand(4, 1, 4, 4)), torch.tensor([0, 1, 0, 1])).backward()
optimizer.step()
optimizer.zero_grad()
torch.export.export(net.eval(), (torch.rand(1, 1, 4, 4),))
print(*sorted({name for name in {*sys.modules} - before if name.startswith(("torch.", "sympy"))}), "end")
"""


def _ran(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | SINGLE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_thread_runs_after_they_are_imported() -> None:
    code = "import importlib, os, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    code += "print(len(os.listdir('/proc/self/task')))"
    assert _ran(code, *MODULES, "edgebuild.plan.planner") == "1\n"


@pytest.mark.parametrize("name", [name for name, kind in FORMATS.usable().items() if kind.preloads])
def test_a_file_is_the_same_whatever_the_worker_was_forked_with(name: str) -> None:
    alone, together = (_ran(CONVERTED, name, *modules).split()[-1] for modules in ((), MODULES))
    assert alone == together


def test_a_worker_that_trains_or_exports_imports_no_more_of_pytorch() -> None:
    """What every worker imports anew takes as long as some trainings."""
    imported = _ran(LEARNT, *USUAL).split()[:-1]
    assert len(imported) < 20, imported  # small ones, where it was a thousand
