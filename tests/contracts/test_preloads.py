"""What workers are forked with changes nothing but their time: it starts no thread, and files come out the same."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edgebuild.spec.registry import FORMATS
from edgebuild.spec.surroundings import SINGLE

MODULES = sorted({name for kind in FORMATS.usable().values() for name in kind.preloads})
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


def _ran(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | SINGLE)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def test_no_thread_runs_after_they_are_imported() -> None:
    code = "import importlib, os, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    code += "print(len(os.listdir('/proc/self/task')))"
    assert _ran(code, *MODULES) == "1"


@pytest.mark.parametrize("name", [name for name, kind in FORMATS.usable().items() if kind.preloads])
def test_a_file_is_the_same_whatever_the_worker_was_forked_with(name: str) -> None:
    assert _ran(CONVERTED, name) == _ran(CONVERTED, name, *MODULES)
