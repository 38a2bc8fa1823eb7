"""A cache in a bucket: S3 and what speaks like it, Google's and Azure's, by obstore.

Credentials are those of the environment, by the names that each cloud's own tools give them (`AWS_ACCESS_KEY_ID`,
`GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY`, …).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

from edgebuild.spec.cache import Cache, CacheError, Pieces, shown
from edgebuild.spec.errors import UsageError

_PIECE = 1 << 16
# By scheme, what names a server that speaks like the cloud's own, the first one that is set.
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_ACCOUNTS = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH")  # files that may name one as well
_ACCOUNT = "GOOGLE_SERVICE_ACCOUNT_KEY"  # the content of one
_WITHIN = {"connect_timeout": "5s", "timeout": "60s"}  # of a request and its whole answer
_AGAIN: dict[str, Any] = {"max_retries": 1, "retry_timeout": timedelta(seconds=5)}


class ObjectStore(Cache):
    """A prefix of a bucket."""

    schemes: ClassVar[tuple[str, ...]] = ("s3", "gs", "az")

    def __init__(self, url: str, variables: Mapping[str, str]) -> None:
        """Open it, which asks nobody; what is missing (a region, an account) is told by the first request."""
        try:
            import obstore
            from obstore.store import from_url
        except ImportError:
            hint = "pip install 'edgebuild[cache]'"
            raise UsageError("buckets need the package obstore", key="--cache", hint=hint) from None
        self._obstore = obstore
        scheme = url.partition(":")[0]
        endpoint = _endpoint(scheme)
        options: Any = {**_WITHIN, "allow_http": True} if (endpoint or "").startswith("http:") else _WITHIN
        own: dict[str, Any] = {"endpoint": endpoint} if scheme == "s3" and endpoint else {}
        try:
            self._store: Any = from_url(url.rstrip("/"), client_options=options, retry_config=_AGAIN, **own)
        except Exception as error:
            nobody = "Account must be specified" in str(error)  # of Azure; the rest of what it says may be a secret
            reason = "cannot be used: no account is named" if nobody else f"cannot be used: {_words(error)}"
            hint = "AZURE_STORAGE_ACCOUNT_NAME names it" if nobody else "s3://bucket/prefix, gs://… or az://…"
            raise UsageError(reason, file=shown(url), key="--cache", hint=hint) from None

    def read(self, name: str) -> Pieces | None:
        """Get."""
        with _told():
            try:
                answer = self._obstore.get(self._store, name)
            except FileNotFoundError:
                return None
            return self._pieces(answer)

    def size(self, name: str) -> int | None:
        """Head."""
        with _told():
            try:
                return int(self._obstore.head(self._store, name)["size"])
            except FileNotFoundError:
                return None

    def write(self, name: str, content: Path | bytes) -> None:
        """Put, in parts where it is large: nobody sees it before the last of them."""
        with BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file, _told():
            self._obstore.put(self._store, name, file)

    def _pieces(self, answer: Any) -> Pieces:
        with _told():
            for piece in answer.stream(min_chunk_size=_PIECE):
                yield bytes(piece)


def _endpoint(scheme: str) -> str | None:
    """The URL of a server that the environment names in the place of the cloud's own."""
    for name in _ENDPOINTS[scheme]:
        if os.environ.get(name):
            return os.environ[name]
    return _of_account() if scheme == "gs" else None


def _of_account() -> str | None:
    """What a service account's file, or its content in the environment, names as Google's server."""
    try:
        paths = (os.environ.get(name) for name in _ACCOUNTS)
        text = os.environ.get(_ACCOUNT) or next((Path(path).read_text(encoding="utf-8") for path in paths if path), "")
        return str(json.loads(text)["gcs_base_url"])
    except (OSError, ValueError, KeyError, TypeError):  # obstore says what is wrong with it
        return None


@contextmanager
def _told() -> Iterator[None]:
    """CacheError for whatever obstore raises."""
    try:
        yield
    except CacheError:
        raise
    except Exception as error:
        # What is written cannot be missing: where it is to be put is.
        refused = isinstance(error, PermissionError | FileNotFoundError) or type(error).__name__ in _REFUSALS
        raise CacheError(_words(error), refused=refused) from None


_REFUSALS = ("PermissionDeniedError", "UnauthenticatedError", "NotSupportedError", "UnknownConfigurationKeyError")


def _words(error: Exception) -> str:
    """The kind of error: what it says at length has URLs in it, and perhaps signatures."""
    kind = type(error).__name__.removesuffix("Error")
    known = {
        "PermissionDenied": "refuses: permission denied",
        "Unauthenticated": "refuses: who are you?",
        "FileNotFound": "has no such bucket or container",
    }
    return known.get(kind, f"cannot be reached ({kind} error: are there such a bucket, a region and credentials?)")
