"""A build runs what must run, once, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebuild.devices.jobs.turns import THIS, Machine, turn
from edgebuild.engine import keys, resolve
from edgebuild.engine.graph import Node
from edgebuild.engine.store import Store
from edgebuild.spec.errors import EdgebuildError, StepError, UsageError
from tests.engine import toys
from tests.engine.program import SIZE, Program, ended
from tests.engine.toybox import Toybox, tally, unsound

pytestmark = pytest.mark.usefixtures("mark")


def names(runs: Path) -> list[str]:
    return sorted(name for name, _, _ in tally(runs))


def overlap(one: tuple[str, float, float], other: tuple[str, float, float]) -> bool:
    return one[1] < other[2] and other[1] < one[2]


class TestOnce:
    def test_every_node_runs_once_and_the_next_build_runs_none(self, box: Toybox, store: Store, runs: Path) -> None:
        def fill(box: Toybox) -> Toybox:
            parts = {name: box.add(name, toys.Write(name, tally=str(runs))) for name in "abc"}
            box.add("all", toys.Join(tally=str(runs)), **parts)
            return box

        first = fill(box).build()
        assert names(runs) == ["a", "b", "c", "join+"]
        assert box.text(first["all"]) == "a+b+c"
        again = fill(Toybox(store))
        assert again.build() == first
        assert names(runs) == ["a", "b", "c", "join+"]
        assert (again.heard.ran, sorted(again.heard.reused)) == ([], ["a", "all", "b", "c"])

    def test_the_key_of_a_step_is_reckoned_once_however_long_it_waits_for_room(
        self, box: Toybox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of thousands that are ready a few can run: to reckon all keys anew whenever one ends takes minutes."""
        reckoned: list[str] = []
        parts = keys.parts

        def note(node: Node, *rest: Any) -> dict[str, str]:
            reckoned.append(node.identity)
            return parts(node, *rest)

        monkeypatch.setattr(keys, "parts", note)
        for name in "abcdef":
            box.add(name, toys.Write(name))
        box.build(jobs=1)
        assert len(reckoned) == len({*reckoned}) == 6

    def test_before_the_first_runs_it_is_told_once_which_may_have_to(self, box: Toybox, store: Store) -> None:
        def fill(box: Toybox, text: str) -> Toybox:
            a, b, c = (box.add(name, toys.Write(text if name == "b" else name)) for name in "abc")
            box.add("ac", toys.Join(), a=a, c=c)
            bc = box.add("bc", toys.Join(), b=b, c=c)
            box.add("all", toys.Join("-"), one=bc, two=a)
            return box

        fill(box, "b").build()
        assert box.heard.foreseen == [["a", "ac", "all", "b", "bc", "c"]]
        again, changed = fill(Toybox(store), "b"), fill(Toybox(store), "d")
        again.build()
        changed.build()
        assert (again.heard.foreseen, changed.heard.foreseen) == ([], [["all", "b", "bc"]])

    def test_two_targets_share_a_node_that_does_the_same(self, box: Toybox, runs: Path) -> None:
        for target in ("rpi4", "host"):
            shared = box.add(f"{target}/shared", toys.Write("x", tally=str(runs)))
            box.add(f"{target}/own", toys.Join(glue=target, tally=str(runs)), one=shared, two=shared)
        done = box.build()
        assert names(runs) == ["joinhost", "joinrpi4", "x"]
        assert done["rpi4/shared"] == done["host/shared"]
        assert box.text(done["rpi4/own"]) == "xrpi4x"

    def test_two_nodes_with_one_key_run_once(self, box: Toybox, runs: Path) -> None:
        """They differ in what is excused only."""
        box.add("a", toys.Write("x", seconds=0.3, tally=str(runs)))
        box.add("b", toys.Write("x", seconds=0.2, tally=str(runs)))
        done = box.build()
        assert names(runs) == ["x"]
        assert done["a"].output == done["b"].output

    def test_what_another_build_made_while_this_one_wanted_the_lock_is_used(
        self, box: Toybox, store: Store, runs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        claim = Store.claim

        def late(mine: Store, key: str) -> object:
            if mine is store:
                other = Toybox(Store(store.root))
                other.add("a", toys.Write("x", tally=str(runs)))
                other.build()
                other.store.close()
            return claim(mine, key)

        monkeypatch.setattr(Store, "claim", late)
        box.add("a", toys.Write("x", tally=str(runs)))
        assert box.text(box.build()["a"]) == "x"
        assert (names(runs), box.heard.reused) == (["x"], ["a"])

    def test_what_ran_before_a_failure_is_kept(self, box: Toybox, store: Store, runs: Path) -> None:
        good = box.add("good", toys.Write("x", tally=str(runs)))
        box.add("bad", toys.Misbehaves("value_error"), one=good)
        with pytest.raises(StepError):
            box.build()
        again = Toybox(store)
        again.add("good", toys.Write("x", tally=str(runs)))
        again.build()
        assert names(runs) == ["x"]

    def test_a_step_that_failed_is_tried_again(self, box: Toybox) -> None:
        box.add("bad", toys.Misbehaves("value_error"))
        for _ in range(2):
            with pytest.raises(StepError):
                box.build()

    def test_an_output_that_was_damaged_or_lost_is_made_again(self, box: Toybox, store: Store, runs: Path) -> None:
        def build(harm: Callable[[Path], object]) -> str:
            box = Toybox(fresh := Store(store.root))
            box.add("last", toys.Join(tally=str(runs)), one=box.add("first", toys.Write("x", tally=str(runs))))
            done = box.build()
            text = box.text(done["last"])
            harm(fresh.path(done["first"].output) / "text.txt")
            fresh.close()
            return text

        assert build(lambda file: (file.chmod(0o644), file.write_text("y"))) == "x"
        assert build(lambda file: shutil.rmtree(file.parent)) == "x"
        assert build(lambda _: None) == "x"
        assert len(names(runs)) == 4  # last and first have the same bytes, so that both are made again or neither
        assert unsound(store.root) == []


class TestSideBySide:
    def test_independent_steps_run_at_once(self, box: Toybox, tmp_path: Path) -> None:
        """Each waits for the other: one after the other they would never end."""
        box.add("one", toys.Meets("one", "other", str(tmp_path)))
        box.add("other", toys.Meets("other", "one", str(tmp_path)))
        box.build(jobs=2)

    def test_no_more_than_jobs_run_at_once(self, box: Toybox, runs: Path) -> None:
        for name in "abcdef":
            box.add(name, toys.Write(name, seconds=0.05, tally=str(runs)))
        box.build(jobs=1)
        done = tally(runs)
        assert not any(overlap(one, other) for one in done for other in done if one is not other)

    def test_an_exclusive_step_runs_alone(self, box: Toybox, runs: Path) -> None:
        for name in "abcd":
            box.add(name, toys.Write(name, seconds=0.1, tally=str(runs)))
            box.add(name.upper(), toys.Alone(name.upper(), seconds=0.1, tally=str(runs)))
        box.build(jobs=4)
        done = {name: (name, start, end) for name, start, end in tally(runs)}
        assert len(done) == 8
        for name in "ABCD":
            assert not any(overlap(done[name], other) for other in done.values() if other[0] != name)

    def test_a_step_waits_for_all_its_inputs(self, box: Toybox, runs: Path) -> None:
        parts = {name: box.add(name, toys.Write(name, seconds=0.1, tally=str(runs))) for name in "abc"}
        box.add("all", toys.Join(tally=str(runs)), **parts)
        box.build(jobs=4)
        done = {name: (start, end) for name, start, end in tally(runs)}
        assert done["join+"][0] >= max(end for name, (_, end) in done.items() if name != "join+")


class TestTurns:
    """Two builds of two projects on one machine, each with a store of its own."""

    @pytest.fixture
    def locks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "locks").mkdir()
        monkeypatch.setenv("EDGEBUILD_LOCKS", str(tmp_path / "locks"))

    def build(self, start: Program, runs: Path) -> dict[str, tuple[str, float, float]]:
        """Both at once; all runs of both, by name."""
        both = [start("--prefix", name, "--turns", store=name) for name in ("one", "two")]
        for process in both:
            code, _, err = ended(process)
            assert (code, err) == (0, "")
        return {name: (name, begin, end) for name, begin, end in tally(runs)}

    @pytest.mark.usefixtures("locks")
    def test_what_is_timed_in_one_project_runs_beside_nothing_of_another(self, start: Program, runs: Path) -> None:
        done = self.build(start, runs)
        assert len(done) == 2 * SIZE
        for name in ("onealone", "twoalone"):
            assert [other for other in done.values() if other[0] != name and overlap(done[name], other)] == []

    @pytest.mark.usefixtures("locks")
    def test_what_measures_another_machine_disturbs_nothing_here(self, store: Store) -> None:
        with turn(alone=False):  # another build works
            box = Toybox(store)
            box.add("board", toys.Elsewhere("board"))
            box.build(turns=Machine())
            assert box.heard.waited == []

    @pytest.mark.usefixtures("locks")
    def test_who_waits_for_the_machine_says_so_and_goes_on(self, store: Store) -> None:
        other = Machine()
        leave = other.enter(alone=False)
        assert leave is not None
        box = Toybox(store)
        box.add("timed", toys.Alone("timed"))
        box.when_waiting = leave
        box.build(turns=Machine())
        assert box.heard.waited == [("timed", f"waiting for {THIS}, which another build uses")]

    def test_the_time_that_a_step_waits_for_a_device_is_not_its_own(self, box: Toybox) -> None:
        box.add("queue", toys.Queues(seconds=1.5))
        done = box.build(seconds=1.0)
        assert done["queue"].seconds < 1.0
        assert box.heard.waited == [("queue", "waiting for device board, which is in use")]


class TestFollow:
    def test_a_step_waits_for_one_that_gives_it_nothing_and_its_key_does_not_know(
        self, box: Toybox, store: Store, runs: Path
    ) -> None:
        costly = box.add("costly", toys.Write("costly", tally=str(runs)))
        trial = box.add("trial", toys.Write("trial", seconds=0.2, tally=str(runs)))
        box.graph.follow(costly, trial)
        done = box.build(jobs=2)
        assert [name for name, _, _ in tally(runs)] == ["trial", "costly"]
        alone = Toybox(store)
        alone.add("costly", toys.Write("costly", tally=str(runs)))
        assert alone.build()["costly"] == done["costly"]
        assert alone.heard.ran == []

    def test_when_the_trial_fails_the_costly_step_is_not_begun(self, box: Toybox, runs: Path) -> None:
        costly = box.add("costly", toys.Write("costly", tally=str(runs)))
        box.graph.follow(costly, box.add("trial", toys.Misbehaves("usage_error")))
        with pytest.raises(UsageError):
            box.build(jobs=2)
        assert names(runs) == []


class TestCutoff:
    def chain(self, store: Store, runs: Path, length: int) -> Toybox:
        box = Toybox(store)
        first = box.add("first", toys.Write("text"))
        cut = box.add("cut", toys.Join(length=length), one=first)
        box.add("last", toys.Join(glue="!", tally=str(runs)), one=cut, two=cut)
        return box

    def test_an_option_that_gives_the_same_bytes_does_not_rerun_what_depends_on_it(
        self, store: Store, runs: Path
    ) -> None:
        self.chain(store, runs, 10).build()
        box = self.chain(store, runs, 11)
        box.build()
        assert box.heard.ran == ["cut"]
        assert box.heard.unchanged == {"cut": True}
        assert names(runs) == ["join!"]

    def test_one_that_gives_other_bytes_does(self, store: Store, runs: Path) -> None:
        self.chain(store, runs, 10).build()
        box = self.chain(store, runs, 2)
        assert box.text(box.build()["last"]) == "te!te"
        assert box.heard.ran == ["cut", "last"]
        assert box.heard.unchanged == {"cut": False, "last": False}

    def test_going_back_runs_nothing(self, store: Store, runs: Path) -> None:
        first = self.chain(store, runs, 10).build()
        self.chain(store, runs, 2).build()
        box = self.chain(store, runs, 10)
        assert box.build() == first
        assert box.heard.ran == []

    def test_the_reason_names_the_part_that_changed(self, store: Store, runs: Path) -> None:
        box = self.chain(store, runs, 10)
        box.build()
        assert set(box.heard.reasons.values()) == {"never built here"}
        box = self.chain(store, runs, 2)
        box.build()
        assert box.heard.reasons["cut"] == "option.length 10 → 2"
        assert box.heard.reasons["last"].startswith("input.one toy:")

    def test_what_a_build_would_do_is_told_without_running(self, store: Store, runs: Path) -> None:
        def told(length: int) -> list[tuple[str, str]]:
            looks = resolve.outlook(self.chain(store, runs, length).graph, store)
            return [(look.label, look.state) for look in looks]

        assert told(10) == [("first", "run"), ("cut", "depends"), ("last", "depends")]
        self.chain(store, runs, 10).build()
        assert told(10) == [("first", "current"), ("cut", "current"), ("last", "current")]
        assert told(11) == [("first", "current"), ("cut", "run"), ("last", "depends")]
        assert names(runs) == ["join!"]


class TestProvenance:
    def build(self, store: Store, *targets: str) -> tuple[Toybox, dict[str, str]]:
        box = Toybox(store)
        for target in targets:
            shared = box.add(f"{target}/digits/shared", toys.Write("shared"))
            own = box.add(f"{target}/digits/own", toys.Join(glue=target), one=shared, two=shared)
            box.add(f"{target}/digits/bundle", toys.Records(), records=True, own=own)
        return box, {label: box.text(action) for label, action in box.build().items()}

    def test_a_step_that_records_gets_all_that_it_depends_on_in_build_order(self, store: Store) -> None:
        _, texts = self.build(store, "rpi4")
        records = json.loads(texts["rpi4/digits/bundle"])
        assert [record["step"] for record in records] == ["rpi4/digits/shared", "rpi4/digits/own"]
        assert records[1]["parts"]["option.glue"] == '"rpi4"'
        assert not [part for part in records[0]["parts"] if part.startswith("code.")]

    def test_it_is_the_same_whatever_is_built_beside_it(self, store: Store) -> None:
        _, alone = self.build(store, "rpi4")
        box, together = self.build(store, "host", "rpi4")
        assert together["rpi4/digits/bundle"] == alone["rpi4/digits/bundle"]
        assert sorted(box.heard.ran) == ["host/digits/bundle", "host/digits/own"]


class TestInputs:
    def test_a_file_that_is_edited_during_the_build_never_poisons_a_key(self, store: Store, tmp_path: Path) -> None:
        """The step changes the very file that its input was taken from, as an editor might while it runs."""
        source = tmp_path / "text.txt"

        def build(text: str) -> str:
            source.write_text(text)
            box = Toybox(store)
            read = box.graph.add_source("source", store.snapshot({"text.txt": source}, "source"))
            edit = box.add("edit", toys.Edits(str(source)), source=read)
            box.add("after", toys.Join(glue="|"), one=edit, two=read)
            return box.text(box.build()["after"])

        assert build("one") == "one|one"
        assert source.read_text() == "edited"
        assert build("two") == "two|two"
        assert build("one") == "one|one"
        assert build("edited") == "edited|edited"

    def test_a_step_that_changes_its_input_is_found_out(self, store: Store) -> None:
        """As root even read-only files can be written: the next build must not believe them."""
        box = Toybox(store)
        first = box.add("first", toys.Write("x"))
        box.add("vandal", toys.Vandal(), one=first)
        try:
            box.build()
        except EdgebuildError:
            return  # not root: the file could not be written
        fresh = Store(store.root)
        again = Toybox(fresh)
        first = again.add("first", toys.Write("x"))
        assert again.text(again.build()["first"]) == "x"
        assert again.heard.ran == ["first"]
        fresh.close()


class TestDisk:
    @pytest.mark.parametrize("free", [0, 4, 8, 12, 16, 24, 40, 64, 96])
    def test_a_disk_that_is_full_is_told_in_one_line_and_does_no_harm(self, small_disk: Path, free: int) -> None:
        """With `free` KiB left when the build begins."""
        store = Store(small_disk / "store")
        box = Toybox(store)
        parts = {name: box.add(name, toys.Write(name * 9_000)) for name in "abc"}
        box.add("all", toys.Join(length=100_000), **parts)
        filler = small_disk / "filler"
        fill(filler, free)
        line = error_line(box)
        filler.unlink()
        store.close()
        assert "\n" not in line
        assert "No space left on device" in line or (free >= 80 and not line)
        assert not list((store.root / "tmp").iterdir())
        assert unsound(store.root) == []
        again = Toybox(Store(small_disk / "store"))
        parts = {name: again.add(name, toys.Write(name * 9_000)) for name in "abc"}
        again.add("all", toys.Join(length=100_000), **parts)
        assert again.text(again.build()["all"]) == "+".join(name * 9_000 for name in "abc")
        again.store.close()

    def test_locks_that_cannot_be_made(self, box: Toybox) -> None:
        shutil.rmtree(box.store.root / "locks")
        (box.store.root / "locks").write_text("a file in its place")
        box.add("a", toys.Write("a"))
        with pytest.raises(UsageError, match="cannot be written: File exists"):
            box.build()


def error_line(box: Toybox) -> str:
    """How the build ends, one step after the other: the line of the user's error, or nothing."""
    try:
        box.build(jobs=1)
    except UsageError as error:
        return error.line
    return ""


def fill(filler: Path, free: int) -> None:
    """Fill a disk up to `free` KiB."""
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(filler.stat().st_size // 4096 * 4096 - free * 1024)


class TestAttempt:
    """What a search asks for: as much as can be had, whatever fails, until a moment."""

    def test_a_step_that_fails_takes_only_those_with_it_that_need_it(self, box: Toybox, runs: Path) -> None:
        good = box.add("good", toys.Write("x", tally=str(runs)))
        bad = box.add("bad", toys.Misbehaves("value_error"))
        after = box.add("after", toys.Join(tally=str(runs)), one=bad, two=good)
        last = box.add("last", toys.Join(glue="!", tally=str(runs)), one=after)
        other = box.add("other", toys.Join(glue="?", tally=str(runs)), one=good)
        attempt = box.attempt(60.0)
        assert {*attempt.done} == {good, other}
        assert {*attempt.failed} == {bad, after, last}
        assert len({error.line for error in attempt.failed.values()}) == 1
        assert names(runs) == ["join?", "x"]

    def test_what_a_step_refused_it_is_not_asked_again_and_a_build_asks(self, box: Toybox, store: Store) -> None:
        """A refusal follows from the key; a crash, and an error that nobody foresaw, may not come again."""
        for what, again in (("usage_error", []), ("value_error", ["bad"])):
            first, second, build = (Toybox(store) for _ in range(3))
            (bad,) = {each.add("bad", toys.Misbehaves(what)) for each in (first, second, build)}
            (after,) = {each.add("after", toys.Join(glue=what), one=bad) for each in (first, second, build)}
            failed, known = first.attempt(60.0).failed, second.attempt(60.0).failed
            assert {*known} == {*failed} == {bad, after}
            assert {error.line for error in known.values()} == {error.line for error in failed.values()}
            assert (first.heard.ran, second.heard.ran) == (["bad"], again)
            with pytest.raises(EdgebuildError):
                build.build()
            assert build.heard.reasons

    def test_at_its_end_what_runs_is_stopped_and_what_was_done_is_kept(self, box: Toybox, store: Store) -> None:
        done = box.add("done", toys.Write("x"))
        box.add(
            "slow",
            toys.Write("y", seconds=60.0),
        )
        attempt = box.attempt(4.0)
        assert ({*attempt.done}, attempt.failed) == ({done}, {})
        again = Toybox(store)
        again.add("done", toys.Write("x"))
        again.build()
        assert again.heard.reused == ["done"]
