"""What workers are forked with: there when a step begins, silent, and no matter when it is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import ROOT

PROGRAM = """
import sys
from pathlib import Path

from tests import ROOT
from edgebuild.engine import worker
from edgebuild.engine.task import Limits, Task
from tests.engine.loaded import Loaded
sys.path.insert(0, sys.argv[1])
with Path(sys.argv[1], "imports").open("a") as file:
    file.write(f"{__name__}\\n")
if __name__ == "__main__":
    for number, modules in enumerate((("missing_module", "noisy_module"), ("other_module",), ("noisy_module",))):
        worker.preload(modules)
        folder = Path(sys.argv[1], str(number))
        folder.mkdir()
        assert worker.Worker(Task("loaded", Loaded(), {}, folder, folder / "curves"), Limits()).outcome() is None
        print(*sorted((folder / "output" / "modules").read_text().split()))
"""


def test_a_program_that_is_a_module_gives_the_server_no_file(tmp_path: Path) -> None:
    """PyTorch has inspect look at all modules, and an empty name of a file is an error there."""
    (tmp_path / "noisy_module.py").write_text(
        "import sys\nif hasattr(sys.modules['__main__'], '__file__'): sys.exit(1)"
    )
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "__main__.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "program", str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    environment = {"PYTHONPATH": f"{root}:{tmp_path}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_modules_are_there_and_what_they_print_is_not_and_others_come_later(tmp_path: Path) -> None:
    (tmp_path / "other_module.py").write_text("")
    (tmp_path / "noisy_module.py").write_text("import os, sys\nprint('noise')\nos.write(2, b'noise')\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    environment = {"PYTHONPATH": f"{root}:{tmp_path}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "imports").read_text() == "__main__\n"  # no step is part of the program that starts a build
    assert done.stdout.splitlines() == ["noisy_module", "noisy_module other_module", "noisy_module other_module"]


END = """
import os, socket
from multiprocessing import forkserver
from edgebuild.engine import worker
worker.preload(())
worker.started(os.getpid, ()).join()
server = forkserver._forkserver
with socket.socket(socket.AF_UNIX) as line:
    line.connect(server._forkserver_address)
print(os.waitpid(server._forkserver_pid, 0)[1])
"""


def test_a_server_that_ends_by_an_error_has_no_words_of_its_own() -> None:
    """As one does that may not open as many files as it is sent: the build says so, in one line."""
    done = subprocess.run([sys.executable, "-c", END], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("256\n", "")
