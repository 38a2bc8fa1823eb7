"""Microsoft's own emulator of Azure's blobs: it takes results from who has the key, and gives them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.client import HTTPConnection

import pytest

from edgebuild.spec.cache import place
from tests.engine import toys
from tests.engine.caches.conftest import Machine

pytestmark = pytest.mark.usefixtures("mark")
AZURITE = shutil.which("azurite-blob")
# Azurite's account, which is the same everywhere and no secret.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
WRONG = base64.b64encode(b"hunter2" * 9).decode()
HERE = ("--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry")
URL = "az://cache/edge"


@pytest.fixture
def azurite(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """A server with nothing in it, as the environment names it."""
    if AZURITE is None:
        pytest.skip("azurite is not installed")
    pytest.importorskip("obstore")
    command = [AZURITE, *HERE, "--skipApiVersionCheck"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        said = ""
        while (listens := re.search(r"successfully listens on (http://127\.0\.0\.1:\d+)", said)) is None:
            said += (line := server.stdout.readline())
            assert line, said
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", f"{listens[1]}/{ACCOUNT}")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
        make_container(listens[1].rpartition("/")[2], "cache")
        yield server
        server.kill()


def make_container(address: str, name: str) -> None:
    """Signed with the account's key (https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key)."""
    date = formatdate(usegmt=True)
    text = f"PUT{12 * chr(10)}x-ms-date:{date}\nx-ms-version:2021-08-06\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signed = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", "Authorization": f"SharedKey {ACCOUNT}:{signed}"}
    server = HTTPConnection(address)
    server.request("PUT", f"/{ACCOUNT}/{name}?restype=container", b"", headers)
    assert server.getresponse().status == 201
    server.close()


def test_azurite(
    azurite: subprocess.Popen[str], machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [toys.Write("a"), toys.Write("b" * 6_000_000)]  # more than one block
    writer, reader, second = machine(URL), machine(URL), machine(URL, read_only=True)
    writer.build(*steps)
    assert (writer.told, writer.counts.sent) == ([], 2)
    done = reader.build(*steps)
    assert (reader.heard.ran, reader.took, reader.told) == ([], ["part0", "part1"], [])
    (file,) = reader.store.path(done["part1"].output).iterdir()

    where = place(URL, read_only=False)
    assert where is not None
    where.open().write(f"cas/{hashlib.sha256(file.read_bytes()).hexdigest()}", b"b" * 5_000_000)
    second.build(*steps)
    assert (second.heard.ran, second.took) == (["part1"], ["part0"])
    assert second.told == [
        f"cache {URL} gave what is not believed: a file of the entry was cut short; the step runs here"
    ]

    nowhere = machine("az://other/edge")
    nowhere.build(toys.Write("c"))
    assert nowhere.told == [
        "cache az://other/edge takes nothing: has no such bucket or container (--cache-read-only, if that is meant so)"
    ]

    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", WRONG)
    stranger = machine(URL)
    stranger.build(toys.Write("c"))
    assert stranger.told == [f"cache {URL} refuses: permission denied: the build goes on without it"]

    azurite.kill()
    azurite.wait()
    late = machine(URL)
    late.build(*steps)
    assert sorted(late.heard.ran) == ["part0", "part1"]
    assert len(late.told) == 1
    assert "cannot be reached" in late.told[0]
