"""Files by digest: which mirror they come from, what is refused, and what is said when none has them."""

import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from edgebuild import cli
from edgebuild.devices.emulation import mirrors
from edgebuild.devices.emulation import pinned as lists
from edgebuild.devices.emulation.supply import Brought, Network
from edgebuild.spec.errors import DeviceError
from tests.devices.emulation.pool import Server, pinned, served

CONTENT = b"whole" * 1000
FILE = pinned("pool/main/t/thing/thing_1:1.0+a~b1_arm64.deb", CONTENT)
PATH = "/debian/pool/main/t/thing/thing_1%3A1.0%2Ba~b1_arm64.deb"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the network nor this machine's apt and pip."""
    for name in ("PATH", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    for name in ("PIP_INDEX_URL", "PIP_PROXY", "PIP_CERT", "PIP_CONFIG_FILE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(mirrors, "_DEBIAN", "http://127.0.0.1:9/debian")
    monkeypatch.setattr(mirrors, "_SNAPSHOT", "http://127.0.0.1:9/snapshot/{}")
    monkeypatch.setattr(mirrors, "_TIMEOUT_S", 5.0)


@pytest.fixture
def good():
    with served({PATH: CONTENT}) as server:
        yield server


def _fetched(folder: Path, *mirror: str) -> bytes:
    folder.mkdir(exist_ok=True)
    Network(*mirror).fetch([FILE], folder)
    assert [each.name for each in folder.iterdir()] == [FILE.name]
    return (folder / FILE.name).read_bytes()


def test_the_users_own_mirror_comes_first(tmp_path, good: Server, monkeypatch):
    assert _fetched(tmp_path / "option", f"{good.address}/debian/") == CONTENT
    monkeypatch.setenv("EDGEBUILD_DEBIAN_MIRROR", f"{good.address}/debian")
    assert _fetched(tmp_path / "environment") == CONTENT
    assert good.asked == [PATH, PATH]


def test_what_is_there_is_not_fetched_again(tmp_path, good: Server):
    for _ in range(2):
        _fetched(tmp_path / "files", f"{good.address}/debian")
    assert good.asked == [PATH]


@pytest.mark.parametrize(
    ("files", "promised"),
    [({}, None), ({PATH: b"W" + CONTENT[1:]}, None), ({PATH: CONTENT[:-1]}, None), ({PATH: CONTENT[:99]}, 5000)],
    ids=["absent", "altered", "short", "broken off"],
)
def test_a_mirror_that_has_not_the_file_gives_way_to_the_next(tmp_path, good: Server, monkeypatch, files, promised):
    monkeypatch.setattr(mirrors, "_DEBIAN", f"{good.address}/debian")
    with served(files, promised) as bad:
        assert _fetched(tmp_path / "files", f"{bad.address}/debian") == CONTENT
        assert PATH in bad.asked


def test_a_file_that_has_left_the_pool_comes_from_the_snapshot_of_its_time(tmp_path, monkeypatch):
    with served({PATH.replace("/debian/", f"/snapshot/{lists.snapshot()}/"): CONTENT}) as old, served({}) as new:
        monkeypatch.setattr(mirrors, "_DEBIAN", f"{new.address}/debian")
        monkeypatch.setattr(mirrors, "_SNAPSHOT", f"{old.address}/snapshot/{{}}")
        assert _fetched(tmp_path / "files") == CONTENT
    assert new.asked == [PATH]


def test_where_none_has_it_one_line_says_which_were_asked_and_what_to_do(tmp_path):
    with served({PATH: CONTENT[1:] + b"!"}) as bad, pytest.raises(DeviceError) as caught:
        Network(f"{bad.address}/debian").fetch([FILE], tmp_path)
    said = str(caught.value)
    assert re.search(
        rf"thing_.*arm64\.deb cannot be had from {bad.address}/debian \(SHA-256 \w+ instead of {FILE.sha256}\), "
        r"http://127\.0\.0\.1:9/debian \(.*refused\), http://127\.0\.0\.1:9/snapshot/\d+T\d+Z \(.*refused\): ",
        said,
    )
    assert "EDGEBUILD_DEBIAN_MIRROR=" in said
    assert "edgebuild devices setup --download FOLDER; here: --from FOLDER" in said
    assert "\n" not in said
    assert not (tmp_path / FILE.name).exists()


def test_a_mirror_that_does_not_answer_is_not_asked_again(tmp_path, good: Server, monkeypatch):
    tries: list[str] = []
    plain = mirrors._get
    monkeypatch.setattr(mirrors, "_get", lambda opener, address: tries.append(address) or plain(opener, address))
    monkeypatch.setattr(mirrors, "_SNAPSHOT", f"{good.address}/debian")
    good.files |= {f"/debian/pool/{number}": CONTENT for number in range(20)}
    Network().fetch([pinned(f"pool/{number}", CONTENT) for number in range(20)], tmp_path)
    assert sum(":9/" in each for each in tries) < 12  # those that were begun before the first had failed


def _program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_what_apt_is_told_on_this_machine_holds_here_too(tmp_path, good: Server, monkeypatch):
    listed = [f"{good.address}/debian/", f"{good.address}/debian-security/", "http://archive.example/ubuntu/"]
    _program(tmp_path / "empty", "apt-get", "\n".join(f"echo {each}" for each in listed))
    _program(tmp_path / "empty", "apt-config", f"echo 'Acquire::http::Proxy \"{good.address}\";'")
    assert mirrors._bases(None)[0] == f"{good.address}/debian"
    assert sum("example" in each or "security" in each for each in mirrors._bases(None)) == 0
    good.files = {f"http://elsewhere.example{PATH}": CONTENT}  # as a proxy is asked
    assert _fetched(tmp_path / "files", "http://elsewhere.example/debian") == CONTENT
    _program(tmp_path / "empty", "apt-get", "exit 100")
    assert mirrors._apt_mirrors() == []


def test_a_wheel_comes_from_the_index_that_pip_is_told(tmp_path, monkeypatch):
    wheel = pinned("http://127.0.0.1:9/packages/some_thing-1.0+cpu-py3-none-any.whl", CONTENT)
    page = b"""<a href="../../f/some_thing-1.0-py3-none-any.whl#sha256=0">old</a>
    <a class="x" href='../../f/some_thing-1.0%2Bcpu-py3-none-any.whl#sha256=1'>new</a>"""
    files = {"/simple/some-thing/": page, "/f/some_thing-1.0%2Bcpu-py3-none-any.whl": CONTENT}
    with served(files) as index:
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.address}/simple\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        Network().fetch([wheel], tmp_path)
    assert (tmp_path / wheel.name).read_bytes() == CONTENT


def _archived(kind: str, tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / kind
    match kind:
        case "folder":
            (path / "deep").mkdir(parents=True)
            (path / "deep" / FILE.name).write_bytes(content)
        case "parts.zip":
            with zipfile.ZipFile(path, "w") as zipped:
                zipped.writestr(f"parts/{FILE.name}", content)
        case "parts.tar.gz":
            member = tarfile.TarInfo(f"./parts/{FILE.name}")
            member.size = len(content)
            with tarfile.open(path, "w:gz") as archive:
                archive.addfile(member, io.BytesIO(content))
    return path


KINDS = ["folder", "parts.zip", "parts.tar.gz"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_network_files_come_from_a_folder_or_archive(tmp_path, kind):
    Brought(_archived(kind, tmp_path, CONTENT)).fetch([FILE], tmp_path)
    assert (tmp_path / FILE.name).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_brought_is_compared_too(tmp_path, kind):
    source = _archived(kind, tmp_path, CONTENT[:-1] + b"?")
    with pytest.raises(DeviceError, match=f"{kind}: thing.* is damaged: SHA-256 .*; make it anew .*--download FOLDER"):
        Brought(source).fetch([FILE], tmp_path)
    assert not (tmp_path / FILE.name).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_brought_is_named(tmp_path, kind):
    absent = pinned("pool/other.deb", b"")
    with pytest.raises(DeviceError, match=rf"{kind}: other\.deb is not there; make it anew"):
        Brought(_archived(kind, tmp_path, CONTENT)).fetch([FILE, absent], tmp_path)


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "text").write_text("nothing")
    with pytest.raises(DeviceError, match="text is no readable folder, tar or zip archive"):
        Brought(tmp_path / "text").fetch([FILE], tmp_path)


def test_what_one_machine_downloads_another_takes(tmp_path, good: Server, monkeypatch, capsys):
    monkeypatch.setattr(lists, "group", lambda name: (FILE,))
    words = ["devices", "setup", "-C", str(tmp_path), "--mirror", f"{good.address}/debian"]
    assert cli.main([*words, "--download", str(tmp_path / "parts"), "--machine", "aarch64"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/parts: 1 files for --from on aarch64\n"
    Brought(tmp_path / "parts").fetch([FILE], tmp_path)
    assert cli.main([*words, "--download", str(tmp_path / "parts"), "--from", str(tmp_path)]) == 2
    assert "--download and --from: name one of them" in capsys.readouterr().err
