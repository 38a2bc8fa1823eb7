"""Brings pinned files into a folder, from mirrors or from a folder or archive, each compared with its digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from edgebuild.devices.emulation.pinned import MIRROR, Pinned
from edgebuild.spec.errors import DeviceError

if TYPE_CHECKING:
    import tarfile

    from edgebuild.devices.emulation.mirrors import Mirror

_TRIES, _AT_ONCE, _PIECE = 2, 4, 1 << 18
_HELP = (
    f"name a mirror of Debian 12 that can be reached ({MIRROR}=http://…/debian), or bring the files from "
    "another machine (there: edgebuild devices setup --download FOLDER; here: --from FOLDER)"
)


class Supply(Protocol):
    """Where files come from."""

    @property
    def online(self) -> bool:
        """Whether there is a network to get other files from."""

    def fetch(self, files: Sequence[Pinned], folder: Path) -> None:
        """Bring the files into `folder`, which is there, by their names; what lies there already is not fetched again.

        Raises:
            DeviceError: one line that says which file cannot be had, from where, and what to do.
        """


@dataclass
class Network:
    """Files from mirrors; `mirror` names one of Debian that is asked first."""

    mirror: str | None = None
    online: bool = field(default=True, init=False)
    _down: set[str] = field(default_factory=set, init=False)

    @cached_property
    def _mirrors(self) -> tuple[Sequence[Mirror], Sequence[Mirror]]:
        from edgebuild.devices.emulation import mirrors

        return mirrors.mirrors(self.mirror)

    def fetch(self, files: Sequence[Pinned], folder: Path) -> None:
        """Several at once: see `Supply.fetch`."""
        from concurrent.futures import ThreadPoolExecutor

        debian, python = self._mirrors
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            begun = [pool.submit(self._one, each, folder, debian if each.is_debian else python) for each in files]
            try:
                for each in begun:
                    each.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _one(self, file: Pinned, folder: Path, places: Sequence[Mirror]) -> None:
        path = folder / file.name
        if path.exists():
            return
        reasons = []
        for mirror in places:
            reason = self._from(mirror, file, path)
            if reason is None:
                return
            reasons.append(f"{mirror.name} ({reason})")
        raise DeviceError(f"emulator set-up: {file.name} cannot be had from {', '.join(reasons)}: {_HELP}")

    def _from(self, mirror: Mirror, file: Pinned, path: Path) -> str | None:
        """Try one mirror; why it failed, or None. One that cannot be reached is not asked for the next file."""
        from http.client import HTTPException
        from urllib.error import HTTPError

        if mirror.name in self._down:
            return "cannot be reached"
        for tries_left in reversed(range(_TRIES)):
            try:
                stream = mirror.open(file)
            except HTTPError as error:
                return f"HTTP {error.code}"
            except (OSError, HTTPException) as error:
                reason = str(getattr(error, "reason", "") or error)
                if not tries_left:
                    self._down.add(mirror.name)
            else:
                reason = _save(stream, file, path) if stream else "does not have it"
                if not stream or not reason:
                    break
        return reason or None


@dataclass
class Brought:
    """Files from a folder, or from a tar or zip archive, in which they lie by their names, at any depth."""

    source: Path
    online: bool = field(default=False, init=False)

    def fetch(self, files: Sequence[Pinned], folder: Path) -> None:
        """See `Supply.fetch`."""
        missing = {each.name: each for each in files if not (folder / each.name).exists()}
        with _opened(self.source) as contents:
            for name, content in contents:  # in the archive's order: a compressed one is read once
                if (file := missing.pop(name, None)) and (reason := _save(content(), file, folder / name)):
                    raise self._wrong(file, f"is damaged: {reason}")
        for file in missing.values():
            raise self._wrong(file, "is not there")

    def _wrong(self, file: Pinned, reason: str) -> DeviceError:
        anew = "make it anew where there is a network, by this version: edgebuild devices setup --download FOLDER"
        return DeviceError(f"emulator set-up: {self.source}: {file.name} {reason}; {anew}")


@contextmanager
def _opened(source: Path) -> Iterator[Iterator[tuple[str, Callable[[], IO[bytes]]]]]:
    """Names (without folders) of what lies in a folder or archive, and what opens each."""
    import tarfile
    import zipfile

    try:
        if source.is_dir():
            yield ((each.name, partial(_file, each)) for each in sorted(source.rglob("*")) if each.is_file())
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as zipped:
                yield ((Path(name).name, partial(zipped.open, name)) for name in zipped.namelist())
        else:
            with tarfile.open(source) as archive:
                yield ((Path(each.name).name, partial(_member, archive, each)) for each in archive if each.isfile())
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or str(error) or "damaged"
        raise DeviceError(f"emulator set-up: {source} is no readable folder, tar or zip archive: {reason}") from error


def _file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    assert content is not None  # it is a file
    return content


def _save(stream: IO[bytes], file: Pinned, path: Path) -> str:
    """Write what is read to `path`, if it is the file's; otherwise why it is not, and nothing is written."""
    from http.client import HTTPException

    part, digest, size = path.with_name(f"{path.name}.part"), sha256(), 0
    with stream, part.open("wb") as out:
        while size <= file.size:
            try:
                piece = stream.read(_PIECE)
            except (OSError, HTTPException) as error:
                return f"broke off after {size} of {file.size} bytes: {error}"
            if not piece:
                break
            digest.update(piece)
            size += out.write(piece)
    if size != file.size:
        return f"{'more than' if size > file.size else f'{size} of'} {file.size} bytes"
    if digest.hexdigest() != file.sha256:
        return f"SHA-256 {digest.hexdigest()} instead of {file.sha256}"
    part.rename(path)
    return ""
