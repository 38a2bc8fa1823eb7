"""Small steps for the engine to run: they can be imported by worker processes and need nothing but Python."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from edgebuild.spec import documents, waiting
from edgebuild.spec.artifact import EXCUSED, Determinism, Step, StepIO
from edgebuild.spec.errors import DeviceError, UsageError
from edgebuild.spec.kept import Kept
from tests.engine.processes import marked


@dataclass(frozen=True, slots=True)
class Toy(Step):
    """What all toys share. `tally` is a file that gets a line whenever the step runs: name, start and end (s)."""

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "toy"
    needs: ClassVar[tuple[str, ...]] = ()
    tools: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Write(Toy):
    """Writes `text`, after sleeping for `seconds`."""

    text: str
    seconds: float = field(default=0.0, metadata=EXCUSED)
    tally: str = field(default="", metadata=EXCUSED)

    def run(self, io: StepIO) -> None:
        with Tally(self.tally, self.text):
            time.sleep(self.seconds)
            (io.output / "text.txt").write_text(self.text)


@dataclass(frozen=True, slots=True)
class Learns(Toy):
    """Trains, and writes how many threads its kernels may have."""

    @property
    def trains(self) -> bool:
        return True

    def run(self, io: StepIO) -> None:
        (io.output / "text.txt").write_text(os.environ["OMP_NUM_THREADS"])


@dataclass(frozen=True, slots=True)
class Alone(Write):
    """Like Write, with nothing beside it."""

    exclusive: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Join(Toy):
    """Joins the texts of all inputs with `glue`, cut to `length` characters."""

    glue: str = "+"
    length: int = 10_000
    seconds: float = field(default=0.0, metadata=EXCUSED)
    tally: str = field(default="", metadata=EXCUSED)

    def run(self, io: StepIO) -> None:
        texts = [(io.path(role) / "text.txt").read_text() for role in sorted(io.inputs)]
        with Tally(self.tally, f"join{self.glue}"):
            time.sleep(self.seconds)
            (io.output / "text.txt").write_text(self.glue.join(texts)[: self.length])


@dataclass(frozen=True, slots=True)
class Records(Toy):
    """Writes the provenance that it was given."""

    def run(self, io: StepIO) -> None:
        (io.output / "text.txt").write_text(json.dumps(documents.to_json(io.provenance)))


@dataclass(frozen=True, slots=True)
class Elsewhere(Alone):
    """Measures another machine: alone in its build, but not on this machine."""

    elsewhere: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Queues(Toy):
    """Waits for its turn longer than it may run."""

    seconds: float

    def run(self, io: StepIO) -> None:
        with waiting.waiting_for("device board"):
            time.sleep(self.seconds)
        (io.output / "text.txt").write_text("done")


@dataclass(frozen=True, slots=True)
class Meets(Toy):
    """Ends when the step that is called `other` has begun."""

    name: str
    other: str
    folder: str

    def run(self, io: StepIO) -> None:
        (Path(self.folder) / f"{self.name}.here").touch()
        while not (Path(self.folder) / f"{self.other}.here").exists():
            time.sleep(0.01)
        (io.output / "text.txt").write_text(self.name)


@dataclass(frozen=True, slots=True)
class Edits(Toy):
    """Changes a file of the user's, before and after it copies its input."""

    file: str = field(metadata=EXCUSED)

    def run(self, io: StepIO) -> None:
        Path(self.file).write_text("half edited")
        (io.output / "text.txt").write_text((io.path("source") / "text.txt").read_text())
        Path(self.file).write_text("edited")


@dataclass(frozen=True, slots=True)
class Vandal(Toy):
    """Changes its input."""

    def run(self, io: StepIO) -> None:
        (io.path("one") / "text.txt").write_text("vandalised")
        (io.output / "text.txt").write_text("done")


@dataclass(frozen=True, slots=True)
class Reports(Toy):
    """Tells its progress, slowly enough to be heard."""

    def run(self, io: StepIO) -> None:
        for number in range(5):
            io.progress(number / 5, f"part {number}")
            time.sleep(0.08)
        (io.output / "text.txt").write_text("done")


@dataclass(frozen=True, slots=True)
class Chatter(Toy):
    """Reports far more often than anybody listens, while the build has no time for it."""

    def run(self, io: StepIO) -> None:
        for number in range(20_000):
            io.progress(number / 20_000, "x" * 100)
        (io.output / "text.txt").write_text("done")


@dataclass(frozen=True, slots=True)
class Misbehaves(Toy):
    """Does `what`, one of the methods below, after writing half of an output."""

    what: str
    note: str = field(default="", metadata=EXCUSED)

    def run(self, io: StepIO) -> None:
        (io.output / "half.txt").write_text("half")
        getattr(self, self.what)(io)

    def usage_error(self, io: StepIO) -> None:
        raise UsageError("the ratio is too high", file="target.toml", key="ratio", hint="lower it")

    def device_error(self, io: StepIO) -> None:
        raise DeviceError("the board does not answer")

    def value_error(self, io: StepIO) -> None:
        print("the last words of the step")
        raise ValueError("nobody\nforesaw this")

    def system_exit(self, io: StepIO) -> None:
        sys.exit(3)

    def bus_error(self, io: StepIO) -> None:
        signal.raise_signal(signal.SIGBUS)

    def leave_temporary(self, io: StepIO) -> None:
        other = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout
        Path(self.note).write_text(f"{tempfile.mkdtemp()}\n{other}")
        os.kill(os.getpid(), signal.SIGKILL)

    def listen(self, io: StepIO) -> None:
        place = Path(tempfile.mkdtemp(prefix="pymp-")) / "listener-12345678"  # as multiprocessing names one
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(place))
            raise ValueError(f"listening at {str(place)!r}")

    def disk_full(self, io: StepIO) -> None:
        raise OSError(28, os.strerror(28), "/somewhere/file")

    def library_finds_disk_full(self, io: StepIO) -> None:
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    def out_of_memory(self, io: StepIO) -> None:
        raise MemoryError

    def torch_out_of_memory(self, io: StepIO) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    def kernel_out_of_memory(self, io: StepIO) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    def user_error(self, io: StepIO) -> None:
        try:
            raise ZeroDivisionError("the cause")
        except ZeroDivisionError:
            raise UsageError("raised in the user's code") from None

    def missing_file(self, io: StepIO) -> None:
        Path("/no/such/file").read_text()

    def closed_output(self, io: StepIO) -> None:
        sys.stdout.close()
        sys.stderr.close()
        raise ValueError("after closing both")

    def segfault(self, io: StepIO) -> None:
        ctypes.string_at(0)

    def abort(self, io: StepIO) -> None:
        os.abort()

    def exit_3(self, io: StepIO) -> None:
        os._exit(3)

    def exit_0(self, io: StepIO) -> None:
        os._exit(0)

    def sigkill(self, io: StepIO) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def sigkill_group(self, io: StepIO) -> None:
        os.killpg(0, signal.SIGKILL)

    def rare_signal(self, io: StepIO) -> None:
        os.kill(os.getpid(), signal.SIGRTMIN + 1)

    def hog(self, io: StepIO) -> None:
        kept = []
        while True:
            kept.append(bytearray(32 * 2**20))

    def loop(self, io: StepIO) -> None:
        while True:
            pass

    def sleep(self, io: StepIO) -> None:
        time.sleep(60)

    def start_child(self, io: StepIO) -> None:
        """A process that outlives the step, unless it is stopped."""
        self._leave(start_new_session=False)

    def start_session(self, io: StepIO) -> None:
        """The same, out of the reach of signals to the step's group."""
        self._leave(start_new_session=True)

    def start_grandchild(self, io: StepIO) -> None:
        """The same, and whoever started it is gone already."""
        code = f"import subprocess as s; s.Popen({self._sleeper!r}, start_new_session=True)"
        subprocess.run([sys.executable, "-c", code], check=True)

    def start_session_and_crash(self, io: StepIO) -> None:
        self.start_session(io)
        os.kill(os.getpid(), signal.SIGSEGV)

    def start_session_and_sleep(self, io: StepIO) -> None:
        self.start_session(io)
        time.sleep(60)

    def wait_for_mark_then_fail(self, io: StepIO) -> None:
        """Fails once the step beside it has started its process."""
        while not marked(self.note):
            time.sleep(0.05)
        raise ValueError("that is enough")

    def kill_watcher(self, io: StepIO) -> None:
        Path(self.note).write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)

    def start_session_and_kill_group(self, io: StepIO) -> None:
        self.start_session(io)
        os.killpg(0, signal.SIGKILL)

    def kill_server(self, io: StepIO) -> None:
        """Leaves a process, and kills the server that the step's watcher was forked from."""
        self.start_session(io)
        watcher = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()
        os.kill(int(watcher[1]), signal.SIGKILL)
        time.sleep(60)

    def start_thread(self, io: StepIO) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    def start_stubborn_thread(self, io: StepIO) -> None:
        """A thread that Python would wait for."""
        threading.Thread(target=threading.Event().wait).start()

    def print_much(self, io: StepIO) -> None:
        print("said on stdout", flush=True)
        os.write(1, b"written to stdout\n")
        os.write(2, b"written to stderr\n")
        subprocess.run(["echo", "said by a child"], check=True)

    def write_symlink(self, io: StepIO) -> None:
        (io.output / "link").symlink_to(self.note)

    def write_hard_link(self, io: StepIO) -> None:
        os.link(self.note, io.output / "link")

    def write_fifo(self, io: StepIO) -> None:
        os.mkfifo(io.output / "pipe")

    def say_much(self, io: StepIO) -> None:
        print("x" * 300_000)
        raise ValueError("after a long talk")

    @property
    def _sleeper(self) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(60)", self.note]

    def _leave(self, *, start_new_session: bool) -> None:
        subprocess.Popen(self._sleeper, start_new_session=start_new_session)


class Tally:
    """Appends a line to a file when a step has run, or nothing when the file's name is empty."""

    def __init__(self, path: str, name: str) -> None:
        self._path, self._name = path, name

    def __enter__(self) -> None:
        self._start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        if self._path:
            with open(self._path, "a") as file:  # short appends are atomic
                file.write(f"{self._name} {self._start} {time.monotonic()}\n")


@dataclass(frozen=True, slots=True)
class Piecewise(Toy):
    """Does `pieces` pieces of work, keeps each in its partial folder, and fails after `fails_after` of them."""

    pieces: int = 4
    fails_after: str = field(default="", metadata=EXCUSED)  # a file with the number; where there is none, it does not
    tally: str = field(default="", metadata=EXCUSED)

    def run(self, io: StepIO) -> None:
        assert io.partial is not None
        io.partial.mkdir(exist_ok=True)
        for piece in range(self.pieces):
            if (io.partial / str(piece)).exists():
                continue
            if Path(self.fails_after).is_file() and piece == int(Path(self.fails_after).read_text()):
                raise DeviceError("the board is gone")
            with Tally(self.tally, str(piece)):
                (io.partial / str(piece)).touch()
        (io.output / "text.txt").write_text(" ".join(sorted(path.name for path in io.partial.iterdir())))


@dataclass(frozen=True, slots=True)
class Measured(Toy):
    """Measures each word of its input, which takes long, and keeps what it has measured; writes which it measured."""

    scale: float = 1.0

    needs: ClassVar[tuple[str, ...]] = ("words",)

    def run(self, io: StepIO) -> None:
        kept, fresh = Kept(io.kept), []
        for word in (io.path("words") / "text.txt").read_text().split():
            if kept.read(word) is None:
                kept.write(word, self.scale * len(word))
                fresh.append(word)
        (io.output / "text.txt").write_text(" ".join(fresh))


@dataclass(frozen=True, slots=True)
class Spread(Toy):
    """Takes what cores there are beside its own, for `seconds`, and writes how many."""

    name: str
    seconds: float = 0.0
    tally: str = field(default="", metadata=EXCUSED)

    def run(self, io: StepIO) -> None:
        with Tally(self.tally, self.name), io.cores.more(io.cores.count) as more:
            time.sleep(self.seconds)
            (io.output / "text.txt").write_text(str(1 + more))
