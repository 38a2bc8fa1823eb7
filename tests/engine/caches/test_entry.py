"""An entry is a message that Bazel's servers read, and is believed only when nothing in it was touched."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from dataclasses import replace

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from edgebuild.engine import digests
from edgebuild.engine.entry import Blob, Entry, parse

A, B = "a" * 64, "b" * 64
SIZES = {"model.bin": Blob(A, 300), "code/model.py": Blob(B, 0)}


def entry(files: dict[str, Blob], **changes: object) -> Entry:
    output = digests.of_contents({path: blob.digest for path, blob in files.items()})
    made = Entry("k" * 64, "steps.Toy", "same-cpu", "amd", "toy", output, files, 1.5)
    return replace(made, **changes)  # type: ignore[arg-type]


GOOD = entry(SIZES)


def test_it_is_read_as_it_was_written() -> None:
    assert parse(GOOD.to_bytes(None), GOOD.name, None) == GOOD
    assert parse(GOOD.to_bytes("secret"), GOOD.name, "secret") == GOOD
    assert parse(GOOD.to_bytes("secret"), GOOD.name, None) == GOOD


def test_servers_of_bazel_find_the_files_in_it() -> None:
    """By the numbers of remote_execution.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="re.proto", package="re", syntax="proto3")
    digest, output, result = (file.message_type.add(name=name) for name in ("Digest", "OutputFile", "ActionResult"))
    digest.field.add(name="hash", number=1, type=9, label=1)
    digest.field.add(name="size_bytes", number=2, type=3, label=1)
    output.field.add(name="path", number=1, type=9, label=1)
    output.field.add(name="digest", number=2, type=11, label=1, type_name=".re.Digest")
    result.field.add(name="output_files", number=2, type=11, label=3, type_name=".re.OutputFile")
    result.field.add(name="exit_code", number=4, type=5, label=1)
    result.field.add(name="stdout_raw", number=5, type=12, label=1)
    result.field.add(name="stderr_raw", number=7, type=12, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("re.ActionResult"))
    message = kind.FromString(GOOD.to_bytes(None))
    files = {each.path: Blob(each.digest.hash, each.digest.size_bytes) for each in message.output_files}
    assert files == SIZES
    message.stderr_raw, message.exit_code = b"what a server adds", 300
    assert parse(message.SerializeToString(), GOOD.name, None) == GOOD


def test_an_entry_of_which_any_byte_was_changed_is_refused_or_says_the_same() -> None:
    data, chance = GOOD.to_bytes("secret"), random.Random(0)
    for _ in range(3000):
        place = chance.randrange(len(data))
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        changed = changed[: chance.choice([len(data), chance.randrange(len(data))])]
        read: Entry | None = None
        with suppress(ValueError):
            read = parse(bytes(changed), GOOD.name, "secret")
        assert read in (None, GOOD)


@pytest.mark.parametrize("secret", ["other", "secre"])
def test_what_another_secret_or_nobody_signed_is_refused(secret: str) -> None:
    for signer in (secret, None):
        with pytest.raises(ValueError, match="is not signed with this secret"):
            parse(GOOD.to_bytes(signer), GOOD.name, "secret")


def test_a_signature_is_of_this_entry_alone() -> None:
    """Whoever may write to the cache but has not the secret cannot put one result in the place of another."""
    lie = entry({"model.bin": Blob(B, 5)})
    signed = json.loads(stdout(GOOD.to_bytes("secret")))
    text = json.loads(stdout(lie.to_bytes(None)))["entry"]
    forged = lie.to_bytes(None)
    body = digests.canonical({"entry": text, "hmac": signed["hmac"]}).encode()
    assert stdout(forged) != body
    forged = b"\x2a" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body
    assert parse(forged, GOOD.name, None) == lie
    with pytest.raises(ValueError, match="not signed"):
        parse(forged, GOOD.name, "secret")


def stdout(data: bytes) -> bytes:
    return data[data.index(b'{"entry"') :]


PATHS = ("../x", "/etc/passwd", "a/../../x", "a//b", "./a", "", ".", "a\\b", "a\0b", "x" * 5000, "a/./b", "a/")


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is damaged"):
        parse(entry({path: Blob(A, 1)}).to_bytes(None), GOOD.name, None)


@pytest.mark.parametrize(
    "wrong",
    [
        entry({"a": Blob(A, 1), "a/b": Blob(A, 1)}),
        entry({"a": Blob("A" * 64, 1)}),
        entry({"a": Blob("../../ac/x", 1)}),
        entry(SIZES, output=A),
        entry(SIZES, seconds=float("nan")),
        entry(SIZES, seconds="long"),
    ],
    ids=range(6),
)
def test_what_no_artifact_has_is_refused(wrong: Entry) -> None:
    with pytest.raises(ValueError, match="is damaged"):
        parse(wrong.to_bytes(None), GOOD.name, None)


def test_a_size_below_nothing_is_refused() -> None:
    data = GOOD.to_bytes(None)
    changed = data.replace(b'size\\":300', b'size\\":-30')
    assert changed != data
    with pytest.raises(ValueError, match="is damaged"):
        parse(changed, GOOD.name, None)


def test_what_is_about_something_else_is_refused() -> None:
    for other in (entry(SIZES, key="0" * 64), entry(SIZES, machine="intel"), entry(SIZES, shared="everywhere")):
        assert other.name != GOOD.name
        with pytest.raises(ValueError, match="about another key"):
            parse(other.to_bytes(None), GOOD.name, None)
