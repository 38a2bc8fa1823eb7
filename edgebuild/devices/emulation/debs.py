"""Unpacks Debian's packages and the sources of packages without dpkg: an `ar` archive with a tar archive in it.

No script of a package runs, nothing keeps an owner, and nothing can be written outside of the folder.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgebuild.spec.errors import DeviceError

if TYPE_CHECKING:
    import tarfile

_MAGIC, _HEADER = b"!<arch>\n", 60


def unpack(deb: Path, into: Path, place: Callable[[str], str | None] = lambda name: name) -> None:
    """Extract the files of a package below `into`.

    Args:
        deb: the package; what its links name from the root is meant below `into`, never on this machine.
        into: the folder to fill; made where it is not there.
        place: where a file of the package (by its path) goes below `into`; None leaves it out.

    Raises:
        DeviceError: the package is damaged, in a compression that Python does not know, or would write elsewhere.
    """
    import tarfile

    with _named(deb), tarfile.open(fileobj=io.BytesIO(_data(deb))) as archive:
        _extract_all(archive, into, place)


def unpack_source(archive: Path, into: Path) -> None:
    """Extract a tar archive of sources below `into`.

    Raises:
        DeviceError: as `unpack`.
    """
    import tarfile

    with _named(archive), tarfile.open(archive) as opened:
        _extract_all(opened, into, lambda name: name)


@contextmanager
def _named(archive: Path) -> Iterator[None]:
    """Errors name the archive; Python's own of one that ends early is empty."""
    import tarfile

    try:
        yield
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise DeviceError(f"unpacking {archive.name}: {str(error) or 'damaged'}") from error


def _data(deb: Path) -> bytes:
    """The archive of files in a package (deb(5)): the member `data.tar` with any compression."""
    for name, content in _members(deb.read_bytes()):
        if name.startswith("data.tar"):
            return content
    raise ValueError("it has no data.tar")


def _members(package: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of an `ar` archive, each after a header of 60 bytes and at an even place."""
    if not package.startswith(_MAGIC):
        raise ValueError("it is no Debian package")
    at = len(_MAGIC)
    while at + _HEADER <= len(package):
        name, size = package[at : at + 16].decode().strip().rstrip("/"), int(package[at + 48 : at + 58])
        at += _HEADER
        if at + size > len(package):
            raise ValueError(f"{name} ends early")
        yield name, package[at : at + size]
        at += size + size % 2


def _extract_all(archive: tarfile.TarFile, into: Path, place: Callable[[str], str | None]) -> None:
    for member in archive:
        if (target := place(str(PurePosixPath(member.name)))) is not None:
            _extract(archive, member, into, PurePosixPath(target))


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, into: Path, target: PurePosixPath) -> None:
    if target.is_absolute() or ".." in target.parts:
        raise ValueError(f"{member.name} lies outside of it")
    path = into / target
    if member.isdir():
        return  # made with the first file in it
    if path.parent.resolve() != into.resolve() / target.parent:
        raise ValueError(f"{member.name} lies behind a link")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if member.issym():
        path.symlink_to(_inside(member.linkname, target))
    elif content := archive.extractfile(member):  # of a hard link too: that of the file it names
        path.write_bytes(content.read())
        path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _inside(link: str, target: PurePosixPath) -> str:
    """What a link names, without beginning at the root."""
    if not link.startswith("/"):
        return link
    return str(PurePosixPath(*[".."] * len(target.parent.parts), link.lstrip("/")))
