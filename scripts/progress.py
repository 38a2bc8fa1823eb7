"""Shows how far pip is: `pip install … | progress.py LOCK VENV`; a line that changes, or in a log one now and then.

Python's own library alone: it runs before anything is installed.
"""

import re
import subprocess
import sys
import threading
from pathlib import Path

# As pip says it: "Downloading name-1.0-py3-none-any.whl (1.2 MB)"; a file of this machine has no size.
WHEEL = re.compile(
    r"\s*(?:Downloading|Using cached|Processing) (?:\S+/)?(\S+?)-(\d\S*?)(?:-\S+)?\.(?:whl|tar\.gz)"
    r"(?: \((?:from .*|([\d.]+) ([kMG]?B))\))?$"
)
UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
LARGE = 50.0  # MB
TERMINAL = sys.stdout.isatty()
FINISHED, LINE = threading.Event(), threading.Lock()


def main(lock: Path, venv: Path) -> None:
    """Follow pip to its end."""
    about = sum("==" in line for line in lock.read_text().splitlines())
    total, number, before = 0.0, 0, installed(venv)
    for line in sys.stdin:
        if wheel := WHEEL.match(line):
            name, version, amount, unit = wheel.groups(default="")
            size = float(amount or 0) * UNITS[unit or "B"]
            total, number = total + size, number + 1
            if TERMINAL or size > LARGE or number % 20 == 1:
                show(
                    f"package {number} of about {about}: {name} {version}, {size:.1f} MB ({total / 1e3:.2f} GB so far)"
                )
        elif line.startswith("Installing collected packages: "):
            arguments = (venv, line.count(",") + 1, before)
            threading.Thread(target=watch, args=arguments, daemon=True).start()
        elif line.startswith("Successfully installed "):
            end = f"{len(line.split()) - 2} packages installed, {occupied(venv)} on disk"
            with LINE:  # what the other thread still has to say is said before, or not at all
                FINISHED.set()
                show(end, end="\n")


def watch(venv: Path, packages: int, before: int) -> None:
    """Tell again and again how many packages are in place."""
    while not FINISHED.is_set():
        line = f"installing: {installed(venv) - before} of {packages} packages, {occupied(venv)} on disk"
        with LINE:
            if not FINISHED.is_set():
                show(line)
        FINISHED.wait(2 if TERMINAL else 15)


def installed(venv: Path) -> int:
    """How many packages the environment holds."""
    return len(list(venv.glob("lib/*/site-packages/*.dist-info")))


def occupied(venv: Path) -> str:
    """What the environment takes on disk."""
    told = subprocess.run(["du", "-sk", str(venv)], capture_output=True, text=True, check=False).stdout.split()
    return f"{int(told[0]) * 1024 / 1e9:.1f} GB" if told else "an unknown amount"


def show(text: str, end: str = "") -> None:
    """In the place of the line before on a terminal, else below it."""
    print(f"\r\033[K  {text[:100]}" if TERMINAL else f"  {text}", end=end if TERMINAL else "\n", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
