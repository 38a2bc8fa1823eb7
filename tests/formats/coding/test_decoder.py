"""The program that travels with a download: by itself, on old Pythons, and against files that are not what was made."""

from __future__ import annotations

import ast
import hashlib
import lzma
import random
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from edgebuild.formats.coding import encoder
from edgebuild.travels import decoder
from tests.formats.coding.contents import file_of, pruned

SOURCE = Path(decoder.__file__)
CONTENT, CONSTANTS = file_of(
    [pruned(0.05, 15, (120, 100)), np.random.default_rng(1).normal(scale=9, size=3000).astype(np.int8)], b"names " * 30
)
CODED = encoder.encode(CONTENT, CONSTANTS)


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The decoder as a process that cannot see this package."""
    return subprocess.run(
        [sys.executable, "-I", str(SOURCE), *arguments], capture_output=True, text=True, cwd="/", timeout=60
    )


def test_it_rebuilds_a_file_by_itself(tmp_path: Path) -> None:
    (tmp_path / "m.edz").write_bytes(CODED)
    ended = start(str(tmp_path / "m.edz"), str(tmp_path / "m"))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert (tmp_path / "m").read_bytes() == CONTENT
    assert decoder.digest(CODED) == hashlib.sha256(CONTENT).hexdigest()


def test_it_needs_numpy_and_the_standard_library_alone() -> None:
    tree = ast.parse(SOURCE.read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "numpy"}
    assert not {"pickle", "marshal", "subprocess", "importlib"} & names
    assert not {"eval", "exec", "compile"} & {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_it_is_python_3_9() -> None:
    ast.parse(SOURCE.read_text(), feature_version=(3, 9))


def corrupted(rng: random.Random, number: int) -> bytes:
    """The download cut off, flipped, shortened, lengthened, or with another end."""
    at = rng.randrange(len(CODED))
    return {
        0: CODED[:at],
        1: CODED[:at] + bytes([CODED[at] ^ 1 << rng.randrange(8)]) + CODED[at + 1 :],
        2: CODED[:at] + CODED[at + 1 :],
        3: CODED[:at] + rng.randbytes(1 + number % 9) + CODED[at:],
        4: CODED[:at] + rng.randbytes(len(CODED) - at) + b"!",
    }[number % 5]


def test_300_random_corruptions_are_refused() -> None:
    rng, told = random.Random(0), []
    for turn in range(300):
        with pytest.raises(decoder.Damaged) as refused:
            decoder.decode(corrupted(rng, turn), limit=1 << 24)
        told.append(str(refused.value))
    assert not any("\n" in line for line in told)
    assert sum("checksum" in line for line in told) > 280  # before anything of them is believed


def test_a_corruption_with_a_checksum_of_its_own_never_gives_another_file() -> None:
    """What means the file harm can compute a checksum; the digest, and every check before it, is what stands."""
    rng = random.Random(1)
    refused = 0
    for turn in range(300):
        body = corrupted(rng, turn)[decoder.HEADER :]
        forgery = CODED[: decoder.HEADER - 4] + zlib.crc32(body).to_bytes(4, "little") + body
        try:
            assert decoder.decode(forgery, limit=1 << 24) == CONTENT
        except decoder.Damaged:
            refused += 1
    assert refused > 280  # a bit that no coder reads may change


def number(value: int) -> bytes:
    return bytes([value & 127 | 128, *number(value >> 7)]) if value > 127 else bytes([value])


def forged(size: int, head: bytes, rest: bytes = b"") -> bytes:
    """A download that says of itself what it likes."""
    body = b"".join(map(number, (size, len(head), decoder.STORED, len(head)))) + head + rest
    return decoder.MAGIC + bytes(32) + zlib.crc32(body).to_bytes(4, "little") + body


@pytest.mark.parametrize(
    ("size", "head", "word"),
    [
        (1 << 40, b"", "out of range"),
        (100, b"\xff" * 12, "out of range"),
        (100, number(0) + number(1), "out of range"),  # no bits
        (100, number(12) + number(1) + number(1) + number(0) + number(99) + number(3), "larger than the file"),
        (8, b"".join(map(number, (12, 1, 0, decoder.RANS, 0, 9))), "add up"),
        (8, b"".join(map(number, (12, 1, 0, decoder.STORED, 500))), "too early"),
        (8, b"".join(map(number, (12, 1, 0, decoder.STORED, 0))), "length"),
        (8, b"".join(map(number, (12, 4, 0, decoder.RANS, 0, 4096))), "too early"),  # no states
    ],
)
def test_numbers_that_lie_are_refused(size: int, head: bytes, word: str) -> None:
    with pytest.raises(decoder.Damaged, match=word):
        decoder.decode(forged(size, head))


def test_gaps_that_leave_the_tensor_are_refused() -> None:
    flags = decoder.SPARSE | decoder.CODEBOOK
    head = [12, 1, 1, 0, 64, 0, flags, 2, 1, 0, 1, decoder.STORED, 2, decoder.STORED, 2, decoder.STORED, 0]
    inside = forged(64, b"".join(map(number, head)), b"\x03\x09" + b"\x01\x01")
    with pytest.raises(decoder.Damaged, match="SHA-256"):  # as intended but for the digest
        decoder.decode(inside)
    with pytest.raises(decoder.Damaged, match="out of bounds"):
        decoder.decode(forged(64, b"".join(map(number, head)), b"\x03\xff" + b"\x01\x01"))


def test_an_index_beyond_the_codebook_is_refused() -> None:
    head = [12, 1, 1, 0, 4, 0, decoder.CODEBOOK, 1, 0, 1, decoder.STORED, 4, decoder.STORED, 0]
    with pytest.raises(decoder.Damaged, match="out of bounds"):
        decoder.decode(forged(4, b"".join(map(number, head)), b"\x00\x01\x02\x00"))


def test_a_small_download_cannot_ask_for_much_memory() -> None:
    """20,000 tensors of 8 streams, each with a table of 2¹⁵ entries, would take 5 GiB."""
    one = b"".join(map(number, (0, 1, 3, 0))) + (number(decoder.RANS) + number(0) + number(1 << 15)) * 8
    head = number(15) + number(1) + number(20000) + one * 20000 + number(decoder.STORED) + number(0)
    with pytest.raises(decoder.Damaged, match="tables"):
        decoder.decode(forged(8 * 20000, head))


@pytest.mark.parametrize("coder", [decoder.DEFLATE, decoder.LZMA])
def test_a_stream_that_unpacks_to_more_than_announced_is_refused(coder: int) -> None:
    packer, chain = zlib.compressobj(9, wbits=-15), [{"id": lzma.FILTER_LZMA2}]
    bomb = {
        decoder.DEFLATE: packer.compress(bytes(1 << 22)) + packer.flush(),
        decoder.LZMA: lzma.compress(bytes(1 << 22), lzma.FORMAT_RAW, filters=chain),
    }[coder]
    head = b"".join(map(number, (12, 1, 0, coder, len(bomb))))
    with pytest.raises(decoder.Damaged, match="length"):
        decoder.decode(forged(8000, head, bomb))


def test_the_limit_of_the_caller_holds() -> None:
    assert decoder.decode(CODED, limit=len(CONTENT)) == CONTENT
    with pytest.raises(decoder.Damaged, match="out of range"):
        decoder.decode(CODED, limit=len(CONTENT) - 1)


@pytest.mark.parametrize("kind", ["cut", "absent", "other", "unwritable"])
def test_what_cannot_be_decoded_is_one_line_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    given, made = tmp_path / "m.edz", tmp_path / ("m" if kind != "unwritable" else "no/such/folder/m")
    if kind != "absent":
        given.write_bytes({"cut": CODED[:-9], "other": b"TFL3" * 50}.get(kind, CODED))
    ended = start(str(given), str(made))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"{given}: cannot be decoded: ")
    assert ended.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ([] if kind == "absent" else ["m.edz"])


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("older")
    (tmp_path / "m.edz").write_bytes(CODED[:-1])
    assert start(str(tmp_path / "m.edz"), str(tmp_path / "m")).returncode == 1
    assert (tmp_path / "m").read_text() == "older"
