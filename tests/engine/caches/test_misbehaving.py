"""A cache that lies, breaks or hangs is a miss, told once: the build goes on, and makes what it would have made."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebuild.engine.remote import Patience
from tests.engine import toys
from tests.engine.caches.conftest import HELLO, Machine
from tests.engine.caches.server import Handler, Served, slowly
from tests.engine.program import Program, ended
from tests.engine.toybox import unsound

pytestmark = pytest.mark.usefixtures("mark")
New = Callable[..., Machine]
Harm = Callable[[Served], object]


def each(folder: str, change: Callable[[bytes], bytes]) -> Harm:
    def harm(served: Served) -> None:
        served.files |= {path: change(data) for path, data in served.under(folder).items()}

    return harm


def swap(served: Served) -> None:
    """Each entry at the place of another's."""
    paths, entries = [*served.under("ac")], [*served.under("ac").values()]
    served.files |= dict(zip(paths, entries[1:] + entries[:1], strict=True))


def lose(served: Served) -> None:
    for path in served.under("cas"):
        del served.files[path]


LIES: dict[str, tuple[Harm, str]] = {
    "altered": (each("cas", lambda data: data[:-1] + b"?"), "a file of the entry has other bytes"),
    "truncated": (each("cas", lambda data: data[:-1]), "a file of the entry was cut short"),
    "longer": (each("cas", lambda data: data + b"?"), "a file of the entry has other bytes"),
    "lost": (lose, "a file of the entry is missing"),
    "another key's": (swap, "the entry is about another key"),
    "empty entry": (each("ac", lambda data: b""), "the entry is damaged"),
    "half an entry": (each("ac", lambda data: data[: len(data) // 2]), "the entry is damaged"),
    "a page": (each("ac", lambda data: b"<html>welcome</html>"), "the entry is damaged"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_not_whole_or_not_equal_to_its_digest_runs_here(served: Served, machine: New, lie: str) -> None:
    harm, reason = LIES[lie]
    one, other, third = machine(), machine(), machine()
    made = one.build(HELLO, toys.Write("other"))
    harm(served)
    mine = other.build(HELLO, toys.Write("other"))
    assert {label: action.output for label, action in mine.items()} == {k: a.output for k, a in made.items()}
    assert sorted(other.heard.ran) == ["part0", "part1"]
    assert other.told == [f"cache {served.url} gave what is not believed: {reason}; the step runs here"]
    assert (other.counts.unbelieved, unsound(other.store.root)) == (2, [])
    third.build(HELLO, toys.Write("other"))  # who made it has put it right
    assert (third.took, third.told) == (["part0", "part1"], [])


def refuse(status: int, *methods: str, **headers: str) -> Callable[[Handler], bool]:
    def answer(handler: Handler) -> bool:
        if handler.command not in methods:
            return False
        handler.say(status, b"x" * 100_000, **headers)
        return True

    return answer


def cut(handler: Handler) -> bool:
    """Hang up in the middle of the answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"half")
    handler.close_connection = True
    return True


def gibberish(handler: Handler) -> bool:
    handler.wfile.write(b"\xff\xfe who are you?\r\n\r\n")
    handler.close_connection = True
    return True


BROKEN: dict[str, tuple[Callable[[Handler], bool], str]] = {
    "500": (refuse(500, "GET", "PUT", "HEAD"), "answers 500 Internal Server Error to GET"),
    "401": (refuse(401, "GET", "PUT", "HEAD"), "answers 401 Unauthorized to GET"),
    "403": (refuse(403, "GET", "PUT", "HEAD"), "answers 403 Forbidden to GET"),
    "redirections": (refuse(302, "GET", "HEAD", "PUT", Location="/again"), "answers 302 Found to GET; redirections"),
    "slow": (slowly(b"x" * 100, 0.1), "does not answer in time"),
    "gibberish": (gibberish, "gives no answer in HTTP"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_cache_that_is_no_use_is_told_of_once_and_asked_no_more(served: Served, machine: New, how: str) -> None:
    served.before, reason = BROKEN[how]
    one = machine(patience=Patience(seconds=0.3, rate=1e9))
    done = one.build(*(toys.Write(name) for name in "abcdef"), then=toys.Join())
    assert one.text(done["then"]) == "a+b+c+d+e+f"
    assert len(one.told) == 1
    assert one.told[0].startswith(f"cache {served.url} {reason}")
    assert one.told[0].endswith(": the build goes on without it")
    assert len(served.asked) <= 8


def test_a_cache_that_fails_too_seldom_to_be_given_up_is_told_of_at_the_end(served: Served, machine: New) -> None:
    served.before = refuse(500, "GET", "PUT", "HEAD")
    one = machine()
    one.build(HELLO)
    assert len(one.told) == 1
    assert one.told[0].startswith(f"cache {served.url} answers 500 Internal Server Error to ")
    assert one.told[0].endswith(": the build did without it there")


def test_an_answer_that_is_cut_is_no_entry(served: Served, machine: New) -> None:
    served.before = cut
    one = machine()
    one.build(HELLO)
    assert (one.heard.ran, one.counts.hits) == (["part0"], 0)


def test_nobody_there_costs_no_build(machine: New) -> None:
    one = machine(url="http://127.0.0.1:1/edge")
    one.build(*(toys.Write(name) for name in "abcd"))
    assert one.told == [
        "cache http://127.0.0.1:1/edge cannot be reached: Connection refused: the build goes on without it"
    ]


@pytest.mark.parametrize("status", [403, 405, 413])
def test_a_cache_that_takes_nothing_still_gives(served: Served, machine: New, status: int) -> None:
    one, other = machine(), machine()
    one.build(HELLO)
    served.before = refuse(status, "PUT")
    other.build(toys.Write("new"), toys.Write("newer"), HELLO)
    assert other.took == ["part2"]
    assert len(other.told) == 1
    assert other.told[0].startswith(f"cache {served.url} takes nothing: answers {status} ")


def test_a_server_that_vanishes_in_the_middle_of_a_build(served: Served, machine: New) -> None:
    one, other = machine(), machine()
    steps = [toys.Write(name) for name in "abcdef"]
    made = one.build(*steps, then=toys.Join())

    def vanish(handler: Handler) -> bool:
        if len(served.asked) > 20 and handler.path.startswith("/cas"):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
            handler.close_connection = True
            served.stop()
            return True
        return False

    served.asked.clear()
    served.before = vanish
    mine = other.build(*steps, toys.Write("g"), then=toys.Join())
    assert mine["part0"].output == made["part0"].output
    assert other.text(mine["then"]) == "a+b+c+d+e+f+g"
    assert unsound(other.store.root) == []


def test_a_kept_connection_that_the_server_has_closed_is_no_failure(served: Served, machine: New) -> None:
    def hang_up_later(handler: Handler) -> bool:
        handler.close_connection = True  # without saying so
        return False

    served.before = hang_up_later
    one, other = machine(), machine()
    one.build(*(toys.Write(name) for name in "abc"))
    other.build(*(toys.Write(name) for name in "abc"))
    assert (one.told, other.told, len(other.took)) == ([], [], 3)


def test_two_machines_that_send_at_once(served: Served, start: Program) -> None:
    both = [start("--cache", served.url, store=name) for name in ("one", "two")]
    answers = [ended(program) for program in both]
    assert [code for code, _, _ in answers] == [0, 0]
    assert answers[0][1] == answers[1][1]
    again = start("--cache", served.url, store="three")
    code, out, err = ended(again)
    assert (code, out, err) == (0, answers[0][1], "0 run, 10 from the cache\n")


@pytest.mark.parametrize("folder", ["cas", "ac"])
def test_a_sender_that_is_killed_leaves_nothing_that_is_believed(served: Served, start: Program, folder: str) -> None:
    """Not even on a server that keeps half of what was sent, as no good one does."""
    halves: list[str] = []

    def keep_half(handler: Handler) -> bool:
        if handler.command != "PUT" or not handler.path.startswith(f"/{folder}/"):
            return False
        served.files[handler.path] = handler.rfile.read(int(handler.headers["Content-Length"]) // 2)
        halves.append(handler.path)
        time.sleep(30)
        return True

    served.before = keep_half
    one = start("--cache", served.url, store="one")
    while len(halves) < 2:
        assert one.poll() is None
        time.sleep(0.02)
    one.send_signal(signal.SIGKILL)
    one.wait()
    assert set(halves) <= served.files.keys()
    served.before = lambda handler: False
    code, made, err = ended(start("--cache", served.url, store="two"))
    assert (code, err) == (0, "10 run, 0 from the cache\n")
    if folder == "ac":
        assert made.startswith(f"cache {served.url} gave what is not believed: the entry is damaged")
    code, taken, err = ended(start("--cache", served.url, store="three"))
    assert (code, taken, err) == (0, made.splitlines()[-1] + "\n", "0 run, 10 from the cache\n")


def test_no_credential_is_written_or_said_anywhere(served: Served, machine: New, tmp_path: Path) -> None:
    """Whether results are sent, taken, or the cache is broken."""
    secret = "hunter2-of-the-cache"
    url = served.url.replace("http://", f"http://builder:{secret}@")
    machines = [machine(url), machine(url), machine(url)]
    machines[0].build(HELLO)
    machines[1].build(HELLO)
    served.before = refuse(500, "GET", "PUT", "HEAD")
    machines[2].build(*(toys.Write(name) for name in "abc"))
    assert [len(one.took) for one in machines] == [0, 1, 0]
    assert served.authorizations == {"Basic YnVpbGRlcjpodW50ZXIyLW9mLXRoZS1jYWNoZQ=="}
    said = [line for one in machines for line in [*one.told, *map(str, one.heard.fetches)]]
    assert (len(said), secret in "".join(said)) == (2, False)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not [path for path in written if secret.encode() in path.read_bytes() or secret in str(path)]
    assert not [path for path, data in served.files.items() if secret.encode() in data]
