"""The server that docs/cache.md describes, with its very words: it takes results from who may write, and gives them."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.engine import toys
from tests.engine.caches.conftest import Machine

pytestmark = pytest.mark.usefixtures("mark")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
FRAME = (
    "daemon off; {user} pid {top}/pid; error_log {top}/error; events {{}} http {{ access_log {top}/access; {body} }}"
)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[str]:
    """`127.0.0.1:PORT` of a server with the documented configuration; builder:word may write."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    (body,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "cache.md").read_text(), re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    top = tmp_path / "nginx"
    (top / "data").mkdir(parents=True)
    (top / "htpasswd").write_text("builder:{PLAIN}word\n")
    body = body.replace("8080", place).replace("/var/cache/edgebuild", str(top / "data"))
    body = body.replace("/etc/nginx/cache.htpasswd", str(top / "htpasswd"))
    user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
    (top / "conf").write_text(FRAME.format(top=top, body=body, user=user))
    with subprocess.Popen([NGINX, "-c", str(top / "conf")], stderr=subprocess.PIPE, text=True) as server:
        while not (top / "pid").exists():
            assert server.poll() is None, server.communicate()[1]
            time.sleep(0.02)
        yield place
        server.terminate()


def test_nginx_as_documented(nginx: str, machine: Callable[..., Machine], tmp_path: Path) -> None:
    steps = [toys.Write("a"), toys.Write("b" * 2_000_000)]
    stranger, writer, reader = (
        machine(f"http://{nginx}"),
        machine(f"http://builder:word@{nginx}"),
        machine(f"http://{nginx}"),
    )
    stranger.build(*steps)
    assert stranger.told == [
        f"cache http://{nginx} takes nothing: answers 401 Unauthorized to PUT (--cache-read-only, if that is meant so)"
    ]
    writer.build(*steps, then=toys.Join())
    assert (writer.told, writer.counts.sent) == ([], 3)
    done = reader.build(*steps, then=toys.Join())
    assert (reader.heard.ran, reader.took, reader.told) == ([], ["part0", "part1", "then"], [])
    assert len(reader.text(done["then"])) == 10_000
    (blob,) = [path for path in (tmp_path / "nginx" / "data" / "cas").iterdir() if path.stat().st_size > 1_000_000]
    with blob.open("r+b") as file:
        file.truncate(1_000_000)
    other = machine(f"http://{nginx}", read_only=True)
    other.build(*steps)
    assert other.told == [
        f"cache http://{nginx} gave what is not believed: a file of the entry was cut short; the step runs here"
    ]
    assert other.heard.ran == ["part1"]
