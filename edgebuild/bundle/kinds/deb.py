"""A bundle as a Debian package: a service on loopback that serves only what it has checked, made without dpkg.

deb(5), deb-control(5); the service is `travels/serve.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgebuild import __version__, travels
from edgebuild.bundle import archives
from edgebuild.bundle.kind import Contents, Kind
from edgebuild.spec.registry import FORMATS

_TEMPLATES = Path(__file__).parents[1] / "payload" / "deb"
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
_SPARE = 256 << 20  # bytes for Python, numpy and the service
# Nobody's address: who hands a package on signs for it in a repository of their own.
_MAINTAINER = "edgebuild <edgebuild@example.com>"
_DAY = "Tue, 01 Jan 1980 00:00:00 +0000"


@dataclass(frozen=True, slots=True)
class Deb(Kind):
    """A Debian package: the model as a local HTTP service that tests itself and falls back to the version before."""

    def write(self, bundle: Contents, folder: Path) -> None:
        """Write `<name>_<version>_all.deb`."""
        bundle.golden("deb")
        bundle.stateless("deb")
        name = _name(bundle)
        files = _files(bundle, name)
        control = {"control": _control(bundle, name, files), "md5sums": _sums(files)}
        control |= {script: _filled(bundle, f"{script}.sh") for script in _SCRIPTS}
        members = {
            "debian-binary": b"2.0\n",
            "control.tar.gz": archives.gzipped(archives.tarred(control, _SCRIPTS, "./")),
            "data.tar.gz": archives.gzipped(archives.tarred(files, root="./")),
        }
        (folder / f"{name}_{bundle.version}_all.deb").write_bytes(_archive(members))


def _name(bundle: Contents) -> str:
    return f"model-{bundle.name}"


def _files(bundle: Contents, name: str) -> dict[str, bytes]:
    """What the package installs, by path."""
    place = f"usr/lib/{name}"
    files = {f"{place}/bundle/{path}": content for path, content in bundle.files().items()}
    files[f"{place}/serve.py"] = travels.file("serve.py").read_bytes()
    files[f"usr/lib/systemd/system/{name}.service"] = _filled(bundle, "service.ini")
    files[f"usr/share/doc/{name}/copyright"] = _filled(bundle, "copyright.txt")
    entry = f"{name} ({bundle.version}) unstable; urgency=medium\n\n  * {_line(bundle.summary)[:70].rstrip()}\n\n"
    entry += f" -- {_MAINTAINER}  {_DAY}\n"
    files[f"usr/share/doc/{name}/changelog.gz"] = archives.gzipped(entry.encode())
    return files


def _filled(bundle: Contents, template: str) -> bytes:
    """A template with what is this bundle's own."""
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    values = {
        "NAME": _name(bundle),
        "SUMMARY": _line(bundle.summary),
        "DIGEST": bundle.digest,
        "EDGEBUILD": __version__,
        "MEMORY": str(_memory(bundle)),
    }
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text.encode()


def _memory(bundle: Contents) -> int:
    """Bytes that the service may have: twice the most that a process was seen to need, or eight times the files."""
    processes = bundle.facts.evidence.processes
    models = sum(len(bundle.model(part)) for part in bundle.facts.parts)
    measured = 2 * int(max(processes.memory.candidate)) if processes else 8 * models
    return _SPARE + measured


def _control(bundle: Contents, name: str, files: Mapping[str, bytes]) -> bytes:
    """The control file; the runtime comes by pip, for Debian has few, so it is none of what Debian must install."""
    runtimes = sorted({FORMATS.get(part.runtime.format).runtime for part in bundle.facts.parts})
    pinned = bundle.files()["requirements.txt"].decode().split()
    fields = {
        "Package": name,
        "Version": bundle.version,
        "Architecture": "all",
        "Maintainer": _MAINTAINER,
        "Installed-Size": str(sum(-(-len(content) // 1024) for content in files.values())),
        "Pre-Depends": "init-system-helpers (>= 1.54~)",
        "Depends": "python3 (>= 3.9), python3-numpy",
        "Suggests": ", ".join(f"python3-{runtime}" for runtime in runtimes),
        "Section": "science",
        "Priority": "optional",
        "Description": f"{_line(bundle.summary)[:70].rstrip()}\n"
        f" A model that proved itself on its target, served on this machine alone:\n"
        f" POST /infer on 127.0.0.1:8471. It is checked before it serves, and the\n"
        f" version before serves where the check fails.\n"
        f" .\n It runs on {', '.join(pinned)}.\n"
        f" .\n edgebuild {__version__}, bundle\n {bundle.digest}",
    }
    return "".join(f"{key}: {value}\n" for key, value in fields.items()).encode()


def _line(text: str) -> str:
    return " ".join(text.split())


def _sums(files: Mapping[str, bytes]) -> bytes:
    """The MD5 of every file, by which dpkg tells later whether one has changed."""
    lines = (f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}  {path}\n" for path, content in files.items())
    return "".join(lines).encode()


def _archive(members: Mapping[str, bytes]) -> bytes:
    """A Unix archive (ar), each member on an even byte."""
    parts = [b"!<arch>\n"]
    for name, content in members.items():
        parts += [f"{name:<16}{archives.EPOCH:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode(), content]
        parts += [b"\n"] if len(content) % 2 else []
    return b"".join(parts)
