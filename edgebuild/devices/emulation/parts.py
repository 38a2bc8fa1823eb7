"""Parts of the emulator in a cache folder: built once, staged, renamed into place, and checked on request.

A part's folder name holds a digest of its recipe, so a part is never changed in place and several versions can
live side by side. `<part>/manifest.json` lists what was downloaded, `<part>/files.json` the digest of every file of
`<part>/tree`.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgebuild.engine import files
from edgebuild.spec import sha256
from edgebuild.spec.errors import DeviceError

_STAGING = ".staging-"
_LOCK_TIMEOUT_S = 3600.0  # another process's set-up may be waiting for a slow network


@dataclass(frozen=True, slots=True)
class Download:
    """A file that was fetched: its name, SHA-256 in hex and size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its name, all that decides its content, the function that fills an empty folder with it, and for
    people what it `holds`.

    `build` gets the folder to fill (`tree`) and a scratch folder, perhaps not there yet, shared with the other parts
    of one set-up and thrown away after it; it returns what it downloaded.
    """

    name: str
    recipe: Mapping[str, object]
    build: Callable[[Path, Path], list[Download]]
    holds: str = ""

    def folder(self, cache: Path) -> Path:
        """Where the finished part lies in `cache`."""
        text = json.dumps(self.recipe, sort_keys=True)
        return cache / f"{self.name}-{sha256.of_bytes(text.encode())[:32]}"


def present(cache: Path, parts: Sequence[Part]) -> bool:
    """Whether all parts have been finished; their files are not looked at."""
    return all(_is_complete(part.folder(cache), part) for part in parts)


def obtain(
    cache: Path,
    parts: Sequence[Part],
    *,
    verify: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Path]:
    """Return each part's `tree`, building those that are absent or, with `verify`, of which any file has changed.

    `progress` is told in a line which part is being built, and when it is there what was fetched for it.

    Raises:
        DeviceError: a part could not be built, or the cache folder cannot be written.
    """
    cache = cache.resolve()  # programs of the parts are started from other folders
    if verify or not present(cache, parts):
        import filelock

        try:
            _complete(cache, parts, verify, progress)
        except filelock.Timeout:
            raise DeviceError(f"{cache}: another set-up has held the lock for {_LOCK_TIMEOUT_S:.0f} s") from None
        except OSError as error:
            raise DeviceError(f"emulator set-up: {error.strerror}: {error.filename or cache}") from error
    return {part.name: part.folder(cache) / "tree" for part in parts}


def manifest(tree: Path) -> dict[str, object]:
    """The manifest of an obtained part: its recipe and its downloads with their digests."""
    loaded: dict[str, object] = json.loads((tree.parent / "manifest.json").read_bytes())
    return loaded


def _is_complete(folder: Path, part: Part) -> bool:
    """Whether the part was finished: its manifest appears only with the rename of the whole folder."""
    try:
        recorded = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    recipe = json.loads(json.dumps(part.recipe))
    return bool(recorded.get("recipe") == recipe) and (folder / "tree").is_dir()


def _is_intact(folder: Path) -> bool:
    """Whether every file of the tree has the digest that was recorded, and none was added or lost."""
    import logging

    try:
        recorded = json.loads((folder / "files.json").read_bytes())
    except (OSError, ValueError):
        recorded = None
    digests = dict(_digests(folder / "tree"))
    if recorded == digests:
        return True
    logging.getLogger(__name__).warning("%s no longer matches its digests and is set up again", folder.name)
    return False


def _complete(cache: Path, parts: Sequence[Part], verify: bool, progress: Callable[[str], None]) -> None:
    """Build what is missing, one process at a time; whoever is killed half-way leaves only a staging folder."""
    import filelock

    cache.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(cache / ".lock", timeout=_LOCK_TIMEOUT_S):
        _sweep(cache)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=cache))
        try:
            for number, part in enumerate(parts, 1):
                if not _is_complete(part.folder(cache), part) or (verify and not _is_intact(part.folder(cache))):
                    progress(f"part {number} of {len(parts)}, {part.name}: {part.holds or 'a few files'}")
                    progress(f"  {_fetched(_build(part, part.folder(cache), staging))}")
        finally:
            files.remove_tree(staging)


def _build(part: Part, folder: Path, staging: Path) -> list[Download]:
    """Build in the staging folder, then rename; what was downloaded."""
    built = staging / part.name
    (built / "tree").mkdir(parents=True)
    downloads = part.build(built / "tree", staging / "scratch")
    _describe(built, part, downloads)
    os.sync()  # thousands of small files: one flush of everything is far cheaper than an fsync for each
    if folder.exists():
        folder.rename(staging / f"{part.name}-replaced")
    built.rename(folder)
    files.sync_folder(folder.parent)
    return downloads


def _fetched(downloads: Sequence[Download]) -> str:
    return f"there: {len(downloads)} files, {sum(each.size for each in downloads) / 1e6:.0f} MB were fetched"


def _describe(built: Path, part: Part, downloads: list[Download]) -> None:
    digests = dict(_digests(built / "tree"))
    (built / "files.json").write_text(json.dumps(digests, indent=0))
    content = {"recipe": part.recipe, "downloads": [asdict(each) for each in downloads]}
    (built / "manifest.json").write_text(json.dumps(content, indent=1))


def _sweep(cache: Path) -> None:
    """Remove what a killed set-up left; the caller holds the lock, so nothing of it is in use."""
    for left in cache.glob(f"{_STAGING}*"):
        files.remove_tree(left)


def _digests(tree: Path) -> Iterator[tuple[str, str]]:
    """(path relative to `tree`, SHA-256 or link target) of every file, in a fixed order."""
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        if path.is_symlink():
            yield name, f"-> {path.readlink()}"
        elif path.is_file():
            yield name, sha256.of_file(path)
