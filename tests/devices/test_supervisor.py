"""The supervisor travels alone to devices with older Pythons."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgebuild.travels import supervisor

SOURCE = Path(supervisor.__file__).read_text()


def talk(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    """What it answers to these requests, whereupon its input ends."""
    said = "".join(json.dumps(request) + "\n\n" for request in requests)
    done = subprocess.run([sys.executable, "-I", "-c", SOURCE], input=said, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_is_python_3_9_and_needs_nothing_but_python() -> None:
    tree = ast.parse(SOURCE, feature_version=(3, 9))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name.name for node in found if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module.split(".")[0] for node in found if isinstance(node, ast.ImportFrom) and node.module}
    assert names <= {*sys.stdlib_module_names}


def test_its_folder_is_private_and_ends_with_its_input(tmp_path: Path) -> None:
    opened = {"do": "open", "base": str(tmp_path), "folders": ["job"], "patience": None}
    run = {"do": "run", "argv": ["sh", "-c", "stat -c %a ..; sleep 600 & exit 7"], "env": {}, "cwd": "job"}
    answers = talk(opened, run | {"stdout": "o", "stderr": "e"}, {"do": "read", "path": "nothing"})
    assert Path(answers[0]["folder"]).parent == tmp_path
    assert "No such file" in answers[1]["error"]
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_done_is_one_line(tmp_path: Path) -> None:
    opened = {"do": "open", "base": str(tmp_path), "folders": ["job"], "patience": None}
    run = {"do": "run", "argv": ["/no/program"], "env": {}, "cwd": "job", "stdout": "o", "stderr": "e"}
    assert "/no/program" in talk(opened, run)[1]["error"]
    assert "there is no folder" in talk(opened | {"base": str(tmp_path / "x")})[0]["error"]


def test_a_job_does_not_start_whose_supervisor_has_ended_before_it() -> None:
    code = "import os; from edgebuild.travels.supervisor import end_with; end_with(os.getpid()); print('started')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
