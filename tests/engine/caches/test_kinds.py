"""Each kind of cache by itself: who asks, what is where, and what is said when it is no use."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from edgebuild.spec.cache import CACHES, Cache, CacheError, place, shown
from edgebuild.spec.errors import UsageError
from tests.engine.caches.server import Handler, Served, serving

NAME = "cas/" + "a" * 64


def opened(url: str) -> Cache:
    where = place(url, read_only=False)
    assert where is not None
    return where.open()


def variables(scheme: str, url: str) -> dict[str, str]:
    """What names the server at this URL, and who asks it, by the words of each cloud's own tools."""
    account = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    secret = base64.b64encode(b"hunter2").decode()
    who = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_REGION": "x"}
    return {
        "s3": {**who, "AWS_ENDPOINT_URL": url},
        "gs": {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account)},
        "az": {
            "AZURE_STORAGE_ENDPOINT": url,
            "AZURE_STORAGE_ACCOUNT_NAME": "me",
            "AZURE_STORAGE_ACCOUNT_KEY": secret,
        },
    }[scheme]


@pytest.fixture(params=["http", "s3", "gs", "az"])
def cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Served, Cache]]:
    """A cache with nothing in it, and its server: buckets' requests are those of a web server, but for signatures."""
    with serving() as served:
        if request.param == "http":
            yield served, opened(f"{served.url}/edge/")
            return
        pytest.importorskip("obstore")
        for name, value in variables(request.param, served.url).items():
            monkeypatch.setenv(name, value)
        yield served, opened(f"{request.param}://bucket/edge")


def test_what_is_put_is_there(cache: tuple[Served, Cache], tmp_path: Path) -> None:
    served, one = cache
    assert (one.read(NAME), one.size(NAME)) == (None, None)
    one.write(NAME, b"12345")
    assert (one.size(NAME), b"".join(one.read(NAME) or [])) == (5, b"12345")
    (tmp_path / "file").write_bytes(b"x" * 300_000)
    one.write(NAME, tmp_path / "file")
    pieces = list(one.read(NAME) or [])
    assert (b"".join(pieces), len(pieces) > 1) == (b"x" * 300_000, True)
    assert [path for path in served.files if unquote(path).endswith(f"/edge/{NAME}")]
    assert "hunter2" not in repr(served.asked)


@pytest.mark.parametrize(("status", "refused"), [(500, False), (503, False), (403, True), (401, True)])
def test_what_the_server_refuses(cache: tuple[Served, Cache], status: int, refused: bool) -> None:
    served, one = cache

    def refuse(handler: Handler) -> bool:
        handler.rfile.read(int(handler.headers["Content-Length"] or 0))
        handler.say(status, b"the secret of the server is hunter3")
        return True

    served.before = refuse
    for act in (lambda: list(one.read(NAME) or []), lambda: one.size(NAME), lambda: one.write(NAME, b"x")):
        with pytest.raises(CacheError) as failed:
            act()
        assert failed.value.refused == refused
        assert "hunter" not in str(failed.value)


def test_a_server_that_is_not_there(cache: tuple[Served, Cache]) -> None:
    served, one = cache
    served.stop()
    with pytest.raises(CacheError, match="cannot be reached"):
        one.read(NAME)
    with pytest.raises(CacheError, match="cannot be reached"):
        one.write(NAME, b"x")


@pytest.mark.parametrize(
    ("variables", "user", "authorization"),
    [
        ({}, "", None),
        ({}, "me:pass%40word@", "Basic bWU6cGFzc0B3b3Jk"),
        ({"USER": "me", "PASSWORD": "word"}, "", "Basic bWU6d29yZA=="),
        ({"TOKEN": "abc"}, "", "Bearer abc"),
        ({"netrc": "machine 127.0.0.1 login me password word"}, "", "Basic bWU6d29yZA=="),
        ({"netrc": "machine elsewhere login me password word"}, "", None),
        ({"netrc": "machine 127.0.0.1 login"}, "", None),
    ],
)
def test_who_asks(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variables: dict[str, str],
    user: str,
    authorization: str | None,
) -> None:
    (tmp_path / ".netrc").write_text(variables.get("netrc", ""))
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(f"EDGEBUILD_CACHE_{name}", value)
    with serving() as served:
        one = opened(served.url.replace("//", f"//{user}"))
        assert one.read(NAME) is None
        assert served.authorizations == {authorization}


def test_no_step_inherits_what_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in ("", "_TOKEN", "_PASSWORD", "_SECRET"):
        monkeypatch.setenv(f"EDGEBUILD_CACHE{name}", "hunter2")
    where = place("http://u:hunter2@host:80/a?b=hunter2", read_only=True)
    assert where is not None
    assert not [name for name in os.environ if name.startswith("EDGEBUILD_CACHE")]
    assert "hunter2" not in repr(where) + where.shown
    assert (where.shown, where.secret) == ("http://host:80/a", "hunter2")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://u:p@cache.example.com/edge/", "https://cache.example.com/edge"),
        ("http://[::1]:80/x?sig=s#f", "http://[::1]:80/x"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("http://h:port/", "(a URL that cannot be read)"),
    ],
)
def test_a_url_is_shown_without_what_is_secret(url: str, text: str) -> None:
    assert shown(url) == text


@pytest.mark.parametrize("url", ["http://h/?sig=hunter2", "http://:80/hunter2", "http://h:hunter2/"])
def test_a_url_that_is_no_caches_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        opened(url)
    assert "hunter2" not in refused.value.line


def test_without_the_package_buckets_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(UsageError, match="buckets need the package obstore"):
        opened("s3://bucket")


def test_each_scheme_is_one_kinds() -> None:
    schemes = [scheme for kind in CACHES.usable().values() for scheme in kind.schemes]
    assert sorted(schemes) == ["az", "gs", "http", "https", "s3"]
    assert CACHES.refused() == []
