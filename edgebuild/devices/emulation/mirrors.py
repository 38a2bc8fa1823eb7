"""Where the pinned files can be had: mirrors of Debian and the Python package index, and how this machine reaches them.

Every file is compared with its digest, so a mirror needs no trust; what is the machine's own comes first.
"""

import configparser
import os
import re
import shutil
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote, urldefrag, urljoin
from urllib.request import HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener, getproxies

from edgebuild.devices.emulation import pinned
from edgebuild.devices.emulation.commands import run
from edgebuild.devices.emulation.pinned import MIRROR, Pinned
from edgebuild.spec.errors import DeviceError

_DEBIAN = "http://deb.debian.org/debian"
_SNAPSHOT = "https://snapshot.debian.org/archive/debian/{}"  # keeps what has left the other one
_APT_PROXY = re.compile(r'^Acquire::(https?)::Proxy "(.+)";$', re.MULTILINE)
_LINK = re.compile(r"""<a\s[^>]*?href\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
# Where distributions keep certificates; a Python that was not built there looks elsewhere.
_CERTIFICATES = (
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"),
    *("/etc/ssl/cert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
)
_TIMEOUT_S = 30.0
_LONGEST_PAGE = 64 << 20


@dataclass(frozen=True, slots=True)
class Mirror:
    """A place that may have files: `name` for people, and `address`, where it has one (None: it does not have it).

    Asking for an address may need the network, and then fails as that does (OSError).
    """

    name: str
    address: Callable[[Pinned], str | None]
    opener: OpenerDirector

    def open(self, file: Pinned) -> IO[bytes] | None:
        """The content of a file; None where it has none. OSError (HTTPError: it answered) when it cannot be had."""
        address = self.address(file)
        return _get(self.opener, address) if address else None


def mirrors(chosen: str | None = None) -> tuple[Sequence[Mirror], Sequence[Mirror]]:
    """The mirrors of Debian and of the Python package index, in the order in which they are asked.

    Args:
        chosen: a mirror of Debian (`http://…/debian`) that comes first; None: what EDGEBUILD_DEBIAN_MIRROR names.
    """
    settings = _pip()
    certificates = settings.get("cert")
    debian = _opener(_apt_proxies(), certificates)
    python = _opener(dict.fromkeys(("http", "https"), settings["proxy"]) if "proxy" in settings else {}, certificates)
    return [_debian(base, debian) for base in _bases(chosen)], [*_indices(settings, python)]


def _bases(chosen: str | None) -> list[str]:
    """Mirrors of Debian: the user's, those this machine's apt takes packages from, and the public ones."""
    own = [each for each in (chosen or os.environ.get(MIRROR),) if each]
    public = [_DEBIAN, _SNAPSHOT.format(pinned.snapshot())]
    return list(dict.fromkeys(each.rstrip("/") for each in (*own, *_apt_mirrors(), *public)))


def _debian(base: str, opener: OpenerDirector) -> Mirror:
    return Mirror(base, lambda file: f"{base}/{quote(file.place)}", opener)


def _indices(settings: dict[str, str], opener: OpenerDirector) -> Iterator[Mirror]:
    """The index that pip is told to use on this machine, then the public one, whose addresses are in the list."""
    if index := settings.get("index-url"):
        yield Mirror(index, lambda file: _on_index(index, file, opener), opener)
    yield Mirror("the Python package index", lambda file: file.place, opener)


def _on_index(index: str, file: Pinned, opener: OpenerDirector) -> str | None:
    """The address of a wheel by an index's page (PEP 503)."""
    project = re.sub(r"[-_.]+", "-", file.name.split("-")[0]).lower()
    page = f"{index.rstrip('/')}/{project}/"
    with _get(opener, page) as answer:
        text = answer.read(_LONGEST_PAGE).decode(errors="replace")
    links = (urljoin(page, urldefrag(link.replace("&amp;", "&")).url) for link in _LINK.findall(text))
    return next((link for link in links if link.endswith((file.name, quote(file.name)))), None)


def _get(opener: OpenerDirector, address: str) -> IO[bytes]:
    headers = {"User-Agent": "edgebuild", "Accept": "text/html, */*"}
    answer: IO[bytes] = opener.open(Request(address, headers=headers), timeout=_TIMEOUT_S)  # noqa: S310 - the user's own
    return answer


def _opener(proxies: dict[str, str], certificates: str | None) -> OpenerDirector:
    """What opens addresses: by the proxies of the environment, or else by `proxies`."""
    context = ssl.create_default_context(cafile=_bundle(certificates))
    return build_opener(ProxyHandler(proxies | getproxies()), HTTPSHandler(context=context))


def _bundle(chosen: str | None) -> str | None:
    """The file of certificates: what is named, Python's own (None), or where a distribution keeps them."""
    named = [os.environ.get("SSL_CERT_FILE"), chosen, os.environ.get("REQUESTS_CA_BUNDLE")]
    usual = ssl.get_default_verify_paths()
    if not any(named) and (usual.cafile or (usual.capath and any(Path(usual.capath).iterdir()))):
        return None
    return next((each for each in (*named, *_CERTIFICATES) if each and Path(each).is_file()), None)


def _apt_mirrors() -> list[str]:
    """Mirrors of Debian among the places that this machine's apt, where it has one, takes packages from."""
    listed = _apt(["apt-get", "indextargets", "--format", "$(REPO_URI)"])
    bases = dict.fromkeys(line.rstrip("/") for line in listed.splitlines())
    return [each for each in bases if re.match(r"https?://.*/debian$", each)]


def _apt_proxies() -> dict[str, str]:
    return {kind: proxy for kind, proxy in _APT_PROXY.findall(_apt(["apt-config", "dump"])) if proxy != "DIRECT"}


def _apt(command: list[str]) -> str:
    """What apt says, or nothing where there is none or it is broken: it is only asked for what helps."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        return run(command, what="apt")
    except DeviceError:
        return ""


def _pip() -> dict[str, str]:
    """Settings of pip that say how packages are reached: files first, then the environment."""
    config = configparser.RawConfigParser()
    home = Path.home()
    own = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    named = os.environ.get("PIP_CONFIG_FILE")
    try:
        config.read([*map(str, ("/etc/pip.conf", home / ".pip/pip.conf", own, Path(sys.prefix) / "pip.conf"))])
        config.read([named] if named else [])
    except configparser.Error:
        return {}  # pip itself says what is wrong with it
    settings = dict(config["global"]) if config.has_section("global") else {}
    known = {"index-url": "PIP_INDEX_URL", "proxy": "PIP_PROXY", "cert": "PIP_CERT"}
    return {name: value for name, key in known.items() if (value := os.environ.get(key) or settings.get(name))}
