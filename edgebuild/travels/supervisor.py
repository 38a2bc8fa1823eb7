"""Stands by on a remote device for one job: owns its private folder and its process, and outlives neither.

This one file travels to the device by standard input (see `remote.py`).  It needs Python 3.9 alone, and must never
import anything of edgebuild.  Requests and answers are JSON objects, one a line; an empty line is a sign of life.

open    base, folders, patience         → folder, free, python; the folder is fresh and for this user alone
lock    name, by, seconds               → locked: whether the device is this connection's alone; where it was not,
                                          holder: who has it, and a second answer says so once it is ours
files                                   → files {path: [bytes, sha256]} below `job`, free
run     argv, env, cwd, stdout, stderr  → code, once the process has ended (−n: killed by signal n)
read    path                            → text, the first 64 KiB of a file
end                                     nothing more

The lock is the kernel's, and the process that is started has it too, so it is free only when neither lives. Beside it
lies a lease: who has it, by which name of the device, and until when, which every sign of life puts off. Who waits ends
a holder whose lease has expired, as when its machine sleeps; a holder that cannot be ended keeps the lock, so no two
ever have it.

Whatever ends it (`end`, the end of its input as when the connection is cut, `patience` seconds of silence, a signal)
kills the process with its group and removes the folder.  A request that fails is answered by `error`, one line.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any, Optional

Data = dict[str, Any]


class Supervisor:
    """Answers requests until there are no more."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.patience: float | None = None
        self.unread = b""
        self.lease: Optional[Lease] = None
        self.locked: tuple[int, ...] = ()  # the handle whose lock is the device's
        self.ended, self.ending = os.pipe()  # a byte arrives when the process has ended

    def serve(self) -> None:
        """Answer every request; leave nothing behind, however this ends."""
        try:
            for request in self.requests():
                try:
                    answer = getattr(self, "do_" + request.pop("do"))(**request)
                except (OSError, ValueError, subprocess.SubprocessError) as error:
                    answer = {"error": " ".join(str(error).split())}
                if answer is not None:
                    say(answer)
        finally:
            for number in STOPS:
                signal.signal(number, signal.SIG_IGN)
            self.kill()
            self.remove()
            if self.lease:
                self.lease.end()

    def requests(self) -> Iterator[Data]:
        """Requests as they come, until "end"."""
        while True:
            line = self.line()
            if line is None:
                return
            request = json.loads(line) if line.strip() else {}
            if request.get("do") == "end":
                return
            if request:
                yield request

    def line(self) -> bytes | None:
        """The next line of the input; None at its end, or after too long a silence."""
        while b"\n" not in self.unread:
            ready = select.select([0, self.ended], [], [], self.patience)[0]
            if self.ended in ready:
                os.read(self.ended, 1)
                say({"code": self.kill()})
            if 0 in ready:
                data = os.read(0, 65536)
                self.unread += data
                if data and self.lease:
                    self.lease.renew()
            if not ready or (0 in ready and not data):
                return None
        line, _, self.unread = self.unread.partition(b"\n")
        return line

    def do_open(self, base: str, folders: list[str], patience: float | None) -> Data:
        """Make the folder."""
        self.patience = patience
        base = os.path.expanduser(base) or tempfile.gettempdir()
        if not os.path.isdir(base):
            raise ValueError(f"there is no folder {base}")
        self.folder = tempfile.mkdtemp(prefix="edgebuild-", dir=base)
        for name in folders:
            os.makedirs(os.path.join(self.folder, name), mode=0o700, exist_ok=True)
        return {"folder": self.folder, "free": self.free(), "python": sys.version_info[:2]}

    def do_lock(self, name: str = "", by: str = "", seconds: float = 60.0) -> Data | None:
        """Take the device for as long as this process lives; who comes later waits in the kernel's queue."""
        self.lease = lease = Lease({"name": name, "by": by, "pid": os.getpid(), "folder": self.folder}, seconds)
        handle = lock_file(DEVICE)
        self.locked = (handle,)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say({"locked": False, "holder": holder()})  # before the thread that may say otherwise
            threading.Thread(target=self.wait, args=[handle, lease], daemon=True).start()
            threading.Thread(target=lease.take_over, daemon=True).start()
            return None
        except OSError:
            return {"locked": True}  # a file system without locks goes without
        lease.begin()
        return {"locked": True}

    def wait(self, handle: int, lease: Lease) -> None:
        """Say when the lock has come."""
        fcntl.flock(handle, fcntl.LOCK_EX)
        lease.begin()
        say({"locked": True})

    def do_files(self) -> Data:
        """Sizes and digests of the job's files; links are not followed."""
        root, files = self.path("job"), {}
        for folder, _, names in os.walk(root):
            for path in (os.path.join(folder, name) for name in names):
                if os.path.isfile(path) and not os.path.islink(path):
                    files[os.path.relpath(path, root)] = [os.path.getsize(path), digest(path)]
        return {"files": files, "free": self.free()}

    def do_run(self, argv: list[str], env: dict[str, str], cwd: str, stdout: str, stderr: str) -> None:
        """Start a process in its own session; its end is told later."""
        command = [os.path.expanduser(argv[0]), *argv[1:]]
        with open(self.path(stdout), "wb") as out, open(self.path(stderr), "wb") as err:
            self.process = subprocess.Popen(
                command, cwd=self.path(cwd), env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=out,
                stderr=err, start_new_session=True, pass_fds=self.locked,
                preexec_fn=functools.partial(end_with, os.getpid()),  # noqa: PLW1509 - two system calls
            )  # fmt: skip
        if self.lease:
            self.lease.renew(group=self.process.pid)
        threading.Thread(target=self.watch, args=[self.process.pid], daemon=True).start()

    def do_read(self, path: str) -> Data:
        """The beginning of a file as text."""
        with open(self.path(path), "rb") as file:
            return {"text": file.read(65536).decode("utf-8", "replace")}

    def watch(self, pid: int) -> None:
        """Tell the other thread when the process has ended, leaving it to be reaped there."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        os.write(self.ending, b"x")

    def kill(self) -> int | None:
        """Kill what is left of the process's group; its exit code."""
        process, self.process = self.process, None
        if process is None:
            return None
        with contextlib.suppress(OSError):  # not reaped yet, so the number still belongs to it
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()

    def remove(self) -> None:
        """Remove the folder; what was killed may take a moment to close its files."""
        for _ in range(50):
            if self.folder is None or not os.path.exists(self.folder):
                return
            shutil.rmtree(self.folder, ignore_errors=True)
            time.sleep(0 if not os.path.exists(self.folder) else 0.1)

    def path(self, name: str) -> str:
        """A file in the folder."""
        return os.path.join(self.folder or os.devnull, name)

    def free(self) -> int:
        """Bytes that this user may still write."""
        state = os.statvfs(self.folder or os.devnull)
        return state.f_bavail * state.f_frsize


class Lease:
    """What is known of who has the device; it counts only while its holder lives and was started in this boot."""

    def __init__(self, lease: Data, seconds: float) -> None:
        self.told, self.seconds = {**lease, "started": started(os.getpid()), "boot": boot()}, seconds
        self.held, self.written, self.lock = False, 0.0, threading.Lock()
        self.file = os.path.join(locks(), "%s.%d%s" % (DEVICE, os.getuid(), LEASE))

    def begin(self) -> None:
        """The lock is ours, once nothing runs any more of a holder that was killed."""
        for lease in leases():
            end_job(lease)
        self.held = True
        self.renew(force=True)

    def renew(self, group: int = 0, force: bool = False) -> None:
        """A sign of life: it holds for as many seconds from now. `group` is that of the process that was started."""
        with self.lock:
            now = clock()
            if group:
                self.told["group"], self.told["group_started"] = group, started(group)
            if self.held and (force or group or now - self.written > self.seconds / 10):
                self.written = now
                part = "%s.%d" % (self.file, os.getpid())
                with contextlib.suppress(OSError):
                    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
                    with open(handle, "w", encoding="ascii") as file:
                        os.fchmod(handle, 0o644)  # whatever the umask: others read it
                        json.dump({**self.told, "until": now + self.seconds}, file)
                    os.replace(part, self.file)

    def take_over(self) -> None:
        """End holders whose leases have expired, until the lock is ours."""
        while not self.held:
            time.sleep(min(1.0, self.seconds / 10))
            for lease in leases():
                if self.held:
                    return
                if not lives(lease):
                    end_job(lease)  # what it started outlives it, and has the lock
                elif clock() > lease["until"]:
                    end(lease)

    def end(self) -> None:
        """It is over."""
        with self.lock:
            if self.held:
                self.held = False
                with contextlib.suppress(OSError):
                    os.unlink(self.file)


def leases() -> Iterator[Data]:
    """Those of this boot; each user has one file, and can name nobody else's processes in it."""
    for name in sorted(os.listdir(locks())):
        if name.startswith(DEVICE + ".") and name.endswith(LEASE):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                handle = os.open(os.path.join(locks(), name), os.O_RDONLY | os.O_NOFOLLOW)
                with open(handle, encoding="ascii") as file:
                    lease, owner = json.loads(file.read(65536)), os.fstat(handle).st_uid
                if lease["boot"] == boot():
                    numbers = {name: int(lease.get(name) or 0) for name in ("pid", "group")}
                    yield {**lease, **numbers, "until": float(lease["until"]), "owner": owner}


def lives(lease: Data, which: str = "pid", when: str = "started") -> bool:
    """Whether the holder lives (or its job: `group`), and is the same process of the user who says so."""
    pid = lease[which]
    try:
        return bool(pid) and os.stat("/proc/%d" % pid).st_uid == lease["owner"] and started(pid) == lease.get(when)
    except OSError:
        return False


def holder() -> Data:
    """Who has the device, as it said itself; nothing where that is not known."""
    lease = next(filter(lives, leases()), {})
    return {name: str(lease[name])[:200] for name in ("name", "by") if lease.get(name)}


def end(lease: Data) -> None:
    """End the holder of a lease with all that it started: at first it may clean up, which a stopped one cannot."""
    with contextlib.suppress(OSError):
        os.kill(lease["pid"], signal.SIGTERM)
        if wait_until_ended(lease, "pid", "started", 1.0):
            return
        end_job(lease)
        os.kill(lease["pid"], signal.SIGKILL)
        folder = str(lease.get("folder") or "")
        if lease["owner"] == os.getuid() and os.path.basename(folder).startswith("edgebuild-"):
            shutil.rmtree(folder, ignore_errors=True)


def end_job(lease: Data) -> None:
    """End what the holder has started, and see it gone."""
    while lives(lease, "group", "group_started"):
        try:
            os.killpg(lease["group"], signal.SIGKILL)
        except OSError:  # another user's, whose supervisor ends it
            return
        wait_until_ended(lease, "group", "group_started", 1.0)


def wait_until_ended(lease: Data, which: str, when: str, seconds: float) -> bool:
    """Whether it has ended in so many seconds."""
    for _ in range(int(seconds / 0.02)):
        if not lives(lease, which, when):
            return True
        time.sleep(0.02)
    return False


def started(pid: int) -> str:
    """When a process was started, which no other of this number was; nothing where there is none."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            state, *fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else fields[18]


def boot() -> str:
    """What is another after every start of the device, and on every other device."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def clock() -> float:
    """Seconds since the device was started, also those in which it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def end_with(parent: int) -> None:
    """A job ends with its supervisor, however that ends: nobody else may have the device while it runs."""
    if LIBC is not None:
        LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # which ended before the kernel was asked
        os._exit(1)


def lock_file(name: str) -> int:
    """A handle on this machine's own file of that name, the same for every user, whose locks end with the process.

    Opened for reading wherever it is there: in a folder that all may write to, Linux lets nobody else's be created.
    """
    path = os.path.join(locks(), name)
    for _ in range(50):
        try:
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
                os.fchmod(handle, 0o644)  # whatever the umask
                return handle
        except PermissionError:
            time.sleep(0.02)  # made by another user an instant ago, who is about to let others read it
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)


def locks() -> str:
    """The folder for locks: EDGEBUILD_LOCKS, or the first that all users of a machine share; Android has one user."""
    named = os.environ.get("EDGEBUILD_LOCKS")
    there = [place for place in LOCKS if os.path.isdir(place) and not os.statvfs(place).f_flag & os.ST_RDONLY]
    shared = [place for place in there if os.stat(place).st_mode & 0o1002 == 0o1002]
    own = [place for place in there if os.access(place, os.W_OK)]
    return named or [*shared, *own, tempfile.gettempdir()][0]


def digest(path: str) -> str:
    """SHA-256 of a file."""
    hasher = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            hasher.update(block)
    return hasher.hexdigest()


def say(answer: Data) -> None:
    """One line to the other side (ASCII, whatever the locale)."""
    line = (json.dumps(answer) + "\n").encode()
    while line:
        line = line[os.write(1, line) :]


def leave(number: int, frame: Any) -> None:
    """End as if asked to, so that nothing is left behind."""
    raise SystemExit(128 + number)


LOCKS = ("/run/lock", "/var/lock", "/dev/shm", "/tmp", "/data/local/tmp")  # noqa: S108 - shared on purpose
try:  # loaded here, since after a fork nothing may be
    import ctypes

    LIBC: Any = ctypes.CDLL(None)
except (ImportError, OSError):  # a Python that was built without libffi
    LIBC = None
DEVICE = "edgebuild-device.lock"
LEASE = ".lease"
STOPS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)

if __name__ == "__main__":
    for stop in STOPS:
        signal.signal(stop, leave)
    with contextlib.suppress(BrokenPipeError):
        Supervisor().serve()
