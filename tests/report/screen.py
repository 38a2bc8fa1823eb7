"""What stands on a terminal after a program has written to it: as much of one as progress displays use."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios

_PARTS = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")

_STYLE = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")  # what would change how a program sees its terminal


class Screen:
    """Lines of text and a cursor; every state is kept that a write has left."""

    def __init__(self) -> None:
        self.lines, self.row, self.column = [""], 0, 0

    def write(self, text: str) -> None:
        """Colours, bells and the cursor's looks change no text; any other unknown code is an error."""
        for arguments, code, control, words in _PARTS.findall(text):
            if code:
                self._move(arguments, code)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            else:
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + words + line[self.column + len(words) :]
                self.column += len(words)

    def _move(self, arguments: str, code: str) -> None:
        if code == "A":
            self.row = max(0, self.row - int(arguments or 1))
        elif (code, arguments) == ("K", "2"):
            self.lines[self.row] = ""
        elif code not in "mhl":
            raise ValueError(f"a code that no progress display needs: {arguments}{code}")

    @property
    def text(self) -> list[str]:
        """The lines that are not blank."""
        return [line.rstrip() for line in self.lines if line.strip()]


def run(code: str, columns: int = 80) -> str:
    """All that Python's `code` writes to a real pseudo-terminal of this width."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        plain = {name: value for name, value in os.environ.items() if name not in _STYLE}
        os.execve(sys.executable, [sys.executable, "-c", code], plain | {"TERM": "xterm-256color"})
    said = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # what Linux says once the other end is closed
            break
        if not data:
            break
        said += data
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, said
    return said.decode()
