"""Names that would run a command if they ever met a shell unquoted."""

from __future__ import annotations

import itertools
from pathlib import Path

CANARY = "edgebuild-canary"
_TOUCH = f"touch {CANARY}"
_FORMS = (
    "$({})", "`{}`", "; {};", ";{};", "| {}", "&& {}", "|| {}", "& {}", "\n{}\n", "x\n{}", '"; {}; "', "'; {}; '",
    '"$({})"', "$({}) $({})", "' $({}) '", "-e $({})", "--help; {}", ") ; {} #", "}; {}; #", "\\'; {}; '",
    "${x:-$({})}",
    "$(({}))", "%s; {}", "<({})", "{}", "-rf *; {}", "~; {}", "\t;\t{}\t", "é模; {}", "\r\n{}\r\n",
)  # fmt: skip
_AROUND = ("", " ", "-", "--", "'", '"', "a b ")
_HARMLESS = [
    "-rf",
    "--version",
    "*",
    "~root",
    "$HOME",
    "${IFS}",
    "a,b,33188",
    "!!",
    "%n",
    "\\",
    ":",
    "a:b",
    "=",
    "[x]",
    "{a,b}",
]
_ALL = [around + form.replace("{}", _TOUCH) for around, form in itertools.product(_AROUND, _FORMS)]
NAMES = list(dict.fromkeys(_ALL))[: 200 - len(_HARMLESS)] + _HARMLESS


def shouted(root: Path) -> list[Path]:
    """Where a command has left its trace: below `root`, or where a shell starts."""
    places = [Path.home() / CANARY, Path.cwd() / CANARY, Path("/") / CANARY, Path("/tmp") / CANARY]
    return [path for path in places if path.exists()] + [path for path in root.rglob("*") if path.name == CANARY]
