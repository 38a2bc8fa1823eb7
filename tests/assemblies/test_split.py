"""A split model: where it can be cut, that both halves answer as the whole over a real link, and how a link ends."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgebuild.assemblies.split import Split
from edgebuild.formats import _onnx_cuts
from edgebuild.spec import dataset, documents
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import FILE, RULE, Cuts, Latencies, Rule
from edgebuild.spec.joining import Joined
from edgebuild.spec.signature import Head, Signature, State, TensorSpec
from edgebuild.steps.assemblies.split_rule import SplitRule
from edgebuild.steps.assemblies.tabulate_cuts import TabulateCuts
from edgebuild.steps.assemblies.take_half import TakeHalf
from edgebuild.travels import edge_link, load_onnx, route_split
from tests import measured, tiny
from tests.steps.evidence import folders

KEY = "a key of the tests, long enough"
LINK = 1e6


def inputs_of(made: tiny.Made, folder: Path) -> dict[str, tuple[str, Path]]:
    latency = folders.evidence(folder, Latencies({"onnx": measured.estimated(0.1)}))
    return {"model": ("onnx", made["onnx-int8"]), "latency": latency, "data": ("data", made["data"])}


@pytest.fixture(scope="module")
def cut(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of cuts of the int8 file, both halves, and the rule; tests must not change it."""
    root = tmp_path_factory.mktemp("cut")
    cuts = tiny.perform(TabulateCuts(LINK), root / "cuts", inputs_of(made, root / "latency"))
    known = {"model": ("onnx", made["onnx-int8"]), "cuts": ("evidence", cuts)}
    for half in ("edge", "server"):
        tiny.perform(TakeHalf(half), root / half, known)
    tiny.perform(SplitRule(0.5), root / "rule", known)
    return root


def opened(path: Path) -> load_onnx.Model:
    return load_onnx.Model(str(path), {})


def test_the_halves_answer_as_the_whole_bit_by_bit(made: tiny.Made, cut: Path) -> None:
    whole = opened(made.file("onnx-int8"))
    edge, server = (opened(cut / half / "model.onnx") for half in ("edge", "server"))
    test = dataset.read(made["data"], "test").inputs[0]
    for row in range(50):
        image = np.asarray(test[row : row + 1])
        assert np.array_equal(server.answer(edge.answer([image]))[0], whole.answer([image])[0])


def test_every_cut_is_tabulated_and_the_fastest_that_leaves_both_sides_work_is_taken(cut: Path) -> None:
    cuts = documents.read(Cuts, cut / "cuts" / FILE)
    assert len(cuts.table) > 5
    assert cuts.best.dtype in ("uint8", "int8")  # a quarter of the bytes of floats, and no value lost
    fitting = [each for each in cuts.table if each.equal and each.useful]
    name = f"{LINK:.0f}"
    assert cuts.best.total[name] == min(each.total[name] for each in fitting)
    for each in cuts.table:
        size = int(np.prod(each.shape)) * np.dtype(each.dtype).itemsize
        assert each.bytes == size + 2 + 4 * len(each.shape) + edge_link.OVERHEAD
        sides = each.edge_seconds + each.server_seconds
        for link in ("1000000", "10000000", "100000000"):
            assert each.total[link] == pytest.approx(sides + 8 * (each.bytes + cuts.answer_bytes) / float(link))
    assert (cut / "server" / "model.onnx").stat().st_size == cuts.best.server_bytes
    rule = documents.read(Rule, cut / "rule" / RULE)
    assert rule.rule["seconds"] == 0.5
    assert max(cuts.best.bytes, cuts.answer_bytes) < rule.rule["bytes"] < 10_000


MEASURED = """\
import sys
import numpy as np
from onnx import helper, numpy_helper
from edgebuild.formats import _onnx_cuts

def memory(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

width, nodes, weights, last = 1024, [], [], "x"
for k in range(8):
    weights.append(numpy_helper.from_array(np.full((width, width), k, np.float32), f"w{k}"))
    nodes.append(helper.make_node("MatMul", [last, f"w{k}"], [f"y{k}"]))
    last = f"y{k}"
ends = [[helper.make_tensor_value_info(name, 1, [1, width])] for name in ("x", last)]
graph = helper.make_graph(nodes, "g", *ends, weights)
content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
del graph, nodes, weights
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak counts from here on
before = memory("VmRSS")
half = _onnx_cuts.half(content, "y3", "edge")
print((memory("VmHWM") - before) * 1024 / len(content), len(half) / len(content))
"""


def test_a_half_is_cut_without_copies_of_the_other_one() -> None:
    done = subprocess.run([sys.executable, "-P", "-c", MEASURED], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    peak, size = map(float, done.stdout.split())
    assert size == pytest.approx(0.5, abs=0.01)
    assert peak < 1.1  # times the file, beside it: the half itself is half of that


def test_an_edge_half_that_no_cut_makes_small_enough_is_refused(made: tiny.Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model.toml: assembly: of \d+ places .* leaves both halves work within 9"):
        tiny.perform(TabulateCuts(LINK, largest=9), tmp_path / "cuts", inputs_of(made, tmp_path / "latency"))


def test_a_tensor_beside_which_something_else_goes_on_is_no_place_to_cut(made: tiny.Made) -> None:
    import onnx

    content = made.file("onnx").read_bytes()
    places = [point.tensor for point in _onnx_cuts.points(content)]
    every = [name for node in onnx.load_model_from_string(content).graph.node for name in node.output]
    around = next(name for name in every[every.index(places[0]) :] if name not in places)  # inside the residual block
    with pytest.raises(ValueError, match="does not carry all"):
        _onnx_cuts.halves(content, around)


def test_a_cut_through_a_state_is_refused() -> None:
    memory = TensorSpec("memory", (4,), state=State("left"))
    whole = Joined("x", Signature((memory,), (TensorSpec("left", (4,)),)), (Head("left", "regression"),))
    with pytest.raises(ValueError, match="a cut through a recurrent state"):
        Split().check(whole, [whole])


# ---- the link


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(edge_link.KEY, KEY)
    monkeypatch.delenv(edge_link.KEY_FILE, raising=False)
    edge_link.CLIENTS.clear()


def test_arrays_come_back_as_they_were_and_nothing_else_is_taken_for_them() -> None:
    arrays = [np.arange(6, dtype=np.float32).reshape(1, 2, 3), np.array(7, np.int64), np.zeros((0, 3), np.uint8)]
    packed = edge_link.pack(arrays)
    for ours, theirs in zip(edge_link.unpack(packed), arrays, strict=True):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert np.array_equal(ours, theirs)
    for wrong in (packed[:-1], packed + b"\0", b"", b"\xff", b"\1\x09\0", b"\1\0\x09", b"\1\0\1\xff\xff\xff\xff"):
        with pytest.raises(edge_link.LinkError):
            edge_link.unpack(wrong)
    with pytest.raises(edge_link.LinkError, match="object cannot be sent"):
        edge_link.pack([np.array([None])])


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (edge_link.KEY, "", "there is no key: EDGEBUILD_LINK_KEY_FILE names a file with one"),
        (edge_link.KEY, "short", "the key has 5 bytes, and 16 are the least"),
        (edge_link.KEY_FILE, "nowhere", "the key cannot be read: nowhere: No such file"),
    ],
)
def test_without_a_key_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(edge_link.LinkError, match=told):
        edge_link.Client("127.0.0.1:1", 1000, 0.5).ask([np.zeros(1, np.float32)])


class Server:
    """Somebody on a socket, who does with the first connection what `act` says."""

    def __init__(self, act) -> None:  # type: ignore[no-untyped-def]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.where = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._run, args=(act,), daemon=True)
        self.thread.start()

    def _run(self, act) -> None:  # type: ignore[no-untyped-def]
        connection, _ = self.listener.accept()
        with connection:
            try:
                act(connection)
            except (edge_link.LinkError, OSError):
                return

    def close(self) -> None:
        self.listener.close()
        self.thread.join(5)


def channel(connection: socket.socket, key: str = KEY, most: int = 10_000) -> edge_link.Channel:
    return edge_link.Channel(connection, key.encode(), most, 2.0, serves=True)


def silent(connection: socket.socket) -> None:
    time.sleep(1.5)


def slow(connection: socket.socket) -> None:
    """A byte now and then: each wait is short, all together are not."""
    for byte in edge_link.MAGIC * 3:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def huge(connection: socket.socket) -> None:
    channel(connection).receive()
    connection.sendall(struct.pack(">I", 1 << 31))
    time.sleep(1)


def replayed(connection: socket.socket) -> None:
    """A frame of an earlier session."""
    there = channel(connection)
    there.receive()
    there._key = b"of another session"
    there.send([np.zeros(1, np.float32)])
    time.sleep(0.5)


def failing(connection: socket.socket) -> None:
    there = channel(connection)
    there.receive()
    there.fail("out of memory")
    time.sleep(0.5)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (silent, "no answer within 0.4 s"),
        (slow, "no answer within 0.4 s"),
        (lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "no half of a split model"),
        (lambda connection: channel(connection, "another key, long enough").receive(), "closed the link"),
        (lambda connection: channel(connection) and None, "the other side closed the link|the link broke"),
        (huge, "a frame of 2147483648 bytes came, and 10000 are the most"),
        (replayed, "the other side has another key"),
        (failing, "the other half failed: out of memory"),
    ],
)
def test_a_link_that_is_lost_or_not_who_it_should_be_ends_in_time_with_the_reason(act, told: str) -> None:  # type: ignore[no-untyped-def]
    server = Server(act)
    client, began = edge_link.Client(server.where, 10_000, 0.4), time.monotonic()
    with pytest.raises(edge_link.LinkError, match=told):
        client.ask([np.zeros((1, 64), np.uint8)])
    assert time.monotonic() - began < 5
    server.close()


def test_the_fall_back_answers_where_the_server_cannot_be_reached_and_else_it_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv(edge_link.SERVER, f"127.0.0.1:{free.getsockname()[1]}")
    rule, value = {"seconds": 0.5, "bytes": 1000.0}, [np.zeros(1, np.float32)]
    halves = [lambda values: values, lambda values: pytest.fail("the server's half ran here")]
    small = [np.ones(1, np.float32)]
    assert route_split.answer(rule, [*halves, lambda values: small], value) is small
    assert "Connection refused; the fall-back answers" in capsys.readouterr().err
    with pytest.raises(edge_link.LinkError, match="cannot be reached: Connection refused"):
        route_split.answer(rule, halves, value)


@pytest.fixture
def bundle(cut: Path, tmp_path: Path) -> Path:
    """What a bundle has of a split model, put together by hand."""
    import json

    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in ("run.py", "serve_part.py", "route_split.py", "edge_link.py", "load_onnx.py", "model_values.py"):
        shutil.copyfile(Path(edge_link.__file__).with_name(name), folder / name)
    for half in ("edge", "server"):
        shutil.copyfile(cut / half / "model.onnx", folder / f"{half}.onnx")
    part = {
        "loader": "load_onnx.py",
        "runtime": {"threads": 1, "providers": []},
        "inputs": [],
        "outputs": [],
        "coded": None,
    }
    rule = documents.read(Rule, cut / "rule" / RULE).rule
    manifest = {
        "parts": [part | {"name": half, "file": f"{half}.onnx"} for half in ("edge", "server")],
        "router": {"use": "split", "program": "route_split.py", "rule": {**rule, "seconds": 20.0}},
        "inputs": [{"name": "image"}], "outputs": [{"name": "output"}], "routing": [],
        "heads": [{"name": "output", "outputs": [0], "show": "values", "labels": []}],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def serving(bundle: Path) -> Iterator[str]:
    """The bundle's server in a process of its own; where it listens."""
    command = [sys.executable, "-P", str(bundle / "serve_part.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {edge_link.KEY: KEY}) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.kill()


def ran(bundle: Path, image: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", str(bundle / "run.py"), str(image)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=os.environ | variables)


def test_an_edge_and_a_server_in_two_processes_answer_as_one(made: tiny.Made, bundle: Path, serving: str) -> None:
    image = np.asarray(dataset.read(made["data"], "test").inputs[0][:1])
    np.save(bundle.parent / "image.npy", image)
    together = ran(bundle, bundle.parent / "image.npy")
    (bundle / "server.onnx").unlink()  # the edge need not have it: the server has it open
    apart = ran(bundle, bundle.parent / "image.npy", **{edge_link.SERVER: serving})
    expected = " ".join(f"{value:.6g}" for value in opened(made.file("onnx-int8")).answer([image])[0][0].tolist())
    assert together.stdout == apart.stdout == f"image.npy: {expected}\n"
    stranger = ran(bundle, bundle.parent / "image.npy", **{edge_link.SERVER: serving, edge_link.KEY: "x" * 20})
    assert (stranger.returncode, stranger.stdout) == (1, "")
    assert "closed the link" in stranger.stderr
    assert stranger.stderr.count("\n") == 1


def test_a_server_without_a_key_does_not_start(bundle: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name != edge_link.KEY}
    command = [sys.executable, "-P", str(bundle / "serve_part.py"), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("serve_part.py: there is no key: EDGEBUILD_LINK_KEY_FILE names a file")
