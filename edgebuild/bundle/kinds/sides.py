"""A bundle taken apart by device: what runs at the edge, and what runs on the server that it asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebuild.bundle import manifest
from edgebuild.bundle.facts import ShippedPart
from edgebuild.bundle.kind import Contents, Kind

EDGE, SERVER = "edge", "server"
_SERVE = "serve_part.py"  # in bundles of which a part is a server's: the second
_TOLD = (manifest.MANIFEST, manifest.SEAL, "requirements.txt")


@dataclass(frozen=True, slots=True)
class Sides(Kind):
    """A folder for each device: `edge/` with `run.py`, and `server/` with `serve_part.py` where one answers there."""

    def write(self, bundle: Contents, folder: Path) -> None:
        """Write the folders; neither has the other's model. What is one file goes to the edge as it is."""
        files = bundle.files()
        if _SERVE not in files:
            _put(folder / EDGE, files)
            return
        own = {*_names(bundle.facts.parts[1])} & {*files}
        programs = {path for path in files if path.endswith(".py")}
        _put(folder / EDGE, {path: files[path] for path in files if path not in own and path != _SERVE})
        _put(folder / SERVER, {path: files[path] for path in sorted(own | programs | {*_TOLD})})


def _names(part: ShippedPart) -> tuple[str, ...]:
    """What a part's model is in: its file, or its download."""
    return (part.file,) if part.coded is None else (part.file, part.coded.file)


def _put(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
