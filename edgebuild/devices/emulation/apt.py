"""Fetches Debian packages of any architecture into a folder: no root, and no change to the machine's own apt."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from edgebuild.devices.emulation.commands import run
from edgebuild.devices.emulation.parts import Download
from edgebuild.spec import sha256
from edgebuild.spec.errors import DeviceError

# The machine's own settings that are carried over: where packages come from, which keys are trusted, proxies.
# Hooks (APT::Update::Post-Invoke and the like) are left behind: they act on the machine's apt, not on ours.
_KEPT = re.compile(r"^(Acquire::|Dir::Etc(::(source|trusted|netrc)(list|parts)?)? )")
_URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$")

_WHAT = "Debian packages of the emulator"
_OWN = """
#clear APT::Architectures;
APT::Architecture "{host}";
APT::Architectures {{ "{host}"; "arm64"; }};
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::ForceHash "sha256";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Log "{folder}/log";
"""


@dataclass(slots=True)
class PrivateApt:
    """An apt of our own in `folder` (scratch; lists already there are used), for the packages of `host` and of arm64.

    It starts from an empty list of installed packages, so what the machine has never decides what is fetched. With
    `sources` it also knows the sources of packages, whether or not the machine's own apt does.
    """

    folder: Path
    host: str = "amd64"
    sources: bool = False
    _doubt: DeviceError | None = field(default=None, init=False)

    def fetch(self, packages: list[str], folder: Path) -> list[Download]:
        """Download packages (`name:arch` or `name:arch=version*`) into `folder`.

        apt checks signatures and digests; a file that is short or altered is refused by it.

        Raises:
            DeviceError: a list or package cannot be fetched, or a package does not exist.
        """
        try:
            return self._fetch(packages, folder)
        except DeviceError as error:
            # A source that could not be read is the likelier cause than a package that does not exist.
            raise self._doubt or error from None

    def fetch_source(self, package: str, folder: Path) -> list[Download]:
        """Download the sources from which a package (named as for `fetch`) was made into `folder`; needs `sources`.

        Raises:
            DeviceError: as `fetch`.
        """
        try:
            [binary] = self._plan(["download", package], folder)
            name, version, _ = unquote(binary["file"]).split("_")
            wanted = ["source", "--download-only", f"{name}={version}"]
            return self._download(wanted, self._plan(wanted, folder), folder)
        except DeviceError as error:
            raise self._doubt or error from None

    def _fetch(self, packages: list[str], folder: Path) -> list[Download]:
        planned = self._plan(["download", *packages], folder)
        if len(planned) != len(packages):
            raise DeviceError(f"{_WHAT}: apt planned {len(planned)} files for {len(packages)} packages")
        return self._download(["download", *packages], planned, folder)

    def _download(self, arguments: list[str], planned: list[re.Match[str]], folder: Path) -> list[Download]:
        self._apt(arguments, _WHAT, folder)
        return [_checked(folder / each["file"], each["sha256"]) for each in planned]

    def _plan(self, arguments: list[str], folder: Path) -> list[re.Match[str]]:
        plan = self._apt([arguments[0], "--print-uris", *arguments[1:]], _WHAT, folder)
        return [match for line in plan.splitlines() if (match := _URI_LINE.match(line))]

    def _apt(self, arguments: list[str], what: str, cwd: Path) -> str:
        return run(["apt-get", "-q", *arguments], what=what, cwd=cwd, env=self._environment())

    def _environment(self) -> dict[str, str]:
        config = self.folder / "apt.conf"
        if not config.exists():
            self._update(config)
        return _with_config(config)

    def _update(self, config: Path) -> None:
        """Write the configuration and fetch the package lists."""
        kept = run(["apt-config", "dump"], what="apt configuration").splitlines()
        lines = [line for line in kept if _KEPT.match(line)]
        for name in ("state/lists/partial", "cache/archives/partial", "log"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "state/status").touch()
        config.touch(mode=0o600)  # proxy settings may hold a password
        own = _OWN.format(host=self.host, folder=self.folder)
        config.write_text("\n".join(lines) + own + (self._with_sources() if self.sources else ""))
        try:
            run(["apt-get", "-q", "update"], what="Debian package lists", env=_with_config(config))
        except DeviceError as error:
            self._doubt = error  # one broken third-party source does not matter while ours can be read

    def _with_sources(self) -> str:
        """Settings by which apt reads copies of the machine's lists of sources that ask for sources too."""
        copies = self.folder / "sources"
        copies.mkdir()
        for file in _lists():
            text = re.sub(r"^Types:.*", "Types: deb deb-src", file.read_text(), flags=re.MULTILINE)
            (copies / file.name).write_text(re.sub(r"^deb(\s.*)", r"deb\1\ndeb-src\1", text, flags=re.MULTILINE))
        return f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{copies}";\n'


def _lists() -> list[Path]:
    """The machine's files that say where packages come from."""
    shell = ["apt-config", "shell", "ONE", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]
    named = dict(line.split("=", 1) for line in run(shell, what="apt configuration").splitlines())
    one, parts = (Path(named[name].strip("'")) for name in ("ONE", "PARTS"))
    return [each for each in (one, *parts.glob("*.list"), *parts.glob("*.sources")) if each.is_file()]


def _with_config(config: Path) -> dict[str, str]:
    return {**os.environ, "APT_CONFIG": str(config), "LC_ALL": "C"}


def unpack(debs: Path, into: Path) -> None:
    """Extract every package of the folder `debs` below `into`, as `dpkg -x` does: no package script runs.

    Raises:
        DeviceError: a package is damaged.
    """
    into.mkdir(parents=True, exist_ok=True)
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg-deb", "-x", deb, into], what=f"unpacking {deb.name}")


def _checked(path: Path, expected: str) -> Download:
    found = sha256.of_file(path) if path.is_file() else "no file"
    if found != expected:
        raise DeviceError(f"{path.name}: digest {found} instead of {expected}")
    return Download(path.name, found, path.stat().st_size)
