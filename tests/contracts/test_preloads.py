"""What workers are forked with changes nothing but their time: it starts no thread, and files come out the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgebuild.spec.registry import FORMATS
from edgebuild.spec.surroundings import SINGLE
from edgebuild.verbs.preloading import USUAL

MODULES = list(dict.fromkeys((*USUAL, *(name for kind in FORMATS.usable().values() for name in kind.preloads))))
CONVERTED = """
import hashlib, sys
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
import sys
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
# Imports modules in stages, and runs the programs of each in processes that are forked from there, as workers are: what
# they print is in files of their names, and of how many threads there were.
FORKING = """
import importlib, json, os, sys
for stage, modules, programs in json.loads(sys.argv[1]):
    for name in modules:
        importlib.import_module(name)
    with open(f"{sys.argv[2]}/threads-{stage}", "w") as file:
        print(len(os.listdir("/proc/self/task")), file=file)
    for name, code in programs.items():
        child = os.fork()
        if child == 0:
            os.dup2(os.open(f"{sys.argv[2]}/{name}", os.O_WRONLY | os.O_CREAT), 1)
            sys.argv[1:] = [name]
            exec(code, {"__name__": "__main__"})
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, name
"""
NAMES = [name for name, kind in FORMATS.usable().items() if kind.preloads]


def _ran(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | SINGLE)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what was printed where the usual modules were imported, and then all that anything names."""
    folder = tmp_path_factory.mktemp("forked")
    stages = [
        ("usual", USUAL, {"learnt": LEARNT}),
        ("all", [*MODULES, "edgebuild.plan.planner"], dict.fromkeys(NAMES, CONVERTED)),
    ]
    _ran(FORKING, json.dumps(stages), str(folder))
    return folder


def test_no_thread_runs_after_they_are_imported(forked: Path) -> None:
    assert [(forked / f"threads-{stage}").read_text() for stage in ("usual", "all")] == ["1\n", "1\n"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_the_same_whatever_the_worker_was_forked_with(forked: Path, name: str) -> None:
    alone, together = (text.split()[-1] for text in (_ran(CONVERTED, name), (forked / name).read_text()))
    assert alone == together


def test_a_worker_that_trains_or_exports_imports_no_more_of_pytorch(forked: Path) -> None:
    """What every worker imports anew takes as long as some trainings."""
    imported = (forked / "learnt").read_text().split()[:-1]
    assert len(imported) < 20, imported  # small ones, where it was a thousand
