"""A step that dies, hangs, eats memory or leaves others behind takes nothing down with it."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from multiprocessing import forkserver
from pathlib import Path

import pytest

from edgebuild.engine import worker
from edgebuild.engine.store import Store
from edgebuild.spec.errors import DeviceError, EdgebuildError, StepError, UsageError
from tests.engine import toys
from tests.engine.processes import alive, eventually, forks, marked
from tests.engine.program import SIZE, Program, ended
from tests.engine.toybox import Toybox, unsound

pytestmark = pytest.mark.usefixtures("mark")


def fail(box: Toybox, what: str, note: str = "", **limits: float) -> EdgebuildError:
    """The error of a build whose only step does `what`; afterwards the store must be clean and work."""
    box.add("target/model/bad", toys.Misbehaves(what, note))
    with pytest.raises(EdgebuildError) as caught:
        box.build(**limits)  # type: ignore[arg-type]
    assert not forks()
    assert unsound(box.store.root) == []
    again = Toybox(box.store)
    again.add("good", toys.Write("good"))
    assert again.text(again.build()["good"]) == "good"
    return caught.value


class TestErrors:
    def test_a_usage_error_keeps_its_type_parts_and_exit_code(self, box: Toybox) -> None:
        error = fail(box, "usage_error")
        assert (type(error), error.exit_code) == (UsageError, 2)
        assert error.line.startswith("target.toml: ratio: the ratio is too high (lower it; log: ")

    def test_a_device_error_keeps_its_type(self, box: Toybox) -> None:
        error = fail(box, "device_error")
        assert (type(error), error.reason) == (DeviceError, "the board does not answer")

    @pytest.mark.parametrize(
        ("what", "cause"),
        [
            ("value_error", "ValueError: nobody foresaw this"),
            ("system_exit", "SystemExit: 3"),
            ("missing_file", "FileNotFoundError"),
            ("closed_output", "ValueError: after closing both"),
        ],
    )
    def test_what_nobody_foresaw_becomes_a_step_error_that_names_step_and_cause(
        self, box: Toybox, what: str, cause: str
    ) -> None:
        error = fail(box, what)
        assert (type(error), error.exit_code) == (StepError, 4)
        assert "step target/model/bad" in error.line
        assert cause in error.line
        assert "\n" not in error.line

    def test_a_full_disk_in_a_step_is_the_users_to_mend(self, box: Toybox) -> None:
        error = fail(box, "disk_full")
        assert (type(error), error.exit_code) == (UsageError, 2)
        assert error.line.startswith("/somewhere/file: step target/model/bad cannot write: No space left on device")

    @pytest.mark.parametrize("what", ["write_symlink", "write_hard_link", "write_fifo"])
    def test_a_link_or_device_in_the_output_is_refused_and_its_target_is_left_alone(
        self, box: Toybox, tmp_path: Path, what: str
    ) -> None:
        outside = tmp_path / "outside.txt"
        outside.write_text("mine")
        mode = outside.stat().st_mode
        error = fail(box, what, str(outside))
        assert (type(error), "link or a device" in error.reason) == (StepError, True)
        assert (outside.stat().st_mode, outside.read_text()) == (mode, "mine")


class TestDeath:
    @pytest.mark.parametrize(
        ("what", "cause"),
        [
            ("segfault", "SIGSEGV"),
            ("abort", "SIGABRT"),
            ("sigkill", "SIGKILL; perhaps out of memory, its limit is 8 GiB"),
            ("sigkill_group", "SIGKILL"),
            ("bus_error", "SIGBUS; perhaps a disk is full, or a file was cut short while it was read"),
            ("rare_signal", "signal 35"),
            ("exit_3", "ended with code 3 and said nothing"),
            ("exit_0", "ended with code 0 and said nothing"),
        ],
    )
    def test_the_build_survives_and_names_step_and_cause(self, box: Toybox, what: str, cause: str) -> None:
        error = fail(box, what)
        assert (type(error), error.exit_code) == (StepError, 4)
        assert "step target/model/bad crashed: its process" in error.line
        assert cause in error.line

    def test_a_step_that_takes_too_much_memory_is_told_its_limit(self, box: Toybox) -> None:
        error = fail(box, "hog", memory=256 * 2**20)
        assert error.reason == "step target/model/bad ran out of memory (its limit is 0.25 GiB)"

    @pytest.mark.parametrize("what", ["loop", "sleep"])
    def test_a_step_that_takes_too_long_is_stopped(self, box: Toybox, what: str) -> None:
        error = fail(box, what, seconds=0.4)
        assert (type(error), error.exit_code) == (StepError, 4)
        assert error.reason == "step target/model/bad was stopped: still running after 0.4 s"

    def test_a_step_whose_watcher_is_killed_dies_too(self, box: Toybox, tmp_path: Path) -> None:
        note = tmp_path / "pid"
        assert "SIGKILL" in fail(box, "kill_watcher", str(note)).reason
        assert eventually(lambda: not alive(int(note.read_text())))

    def test_a_step_that_kills_its_group_does_not_meet_the_watcher(self, box: Toybox, mark: str) -> None:
        assert "SIGKILL" in fail(box, "start_session_and_kill_group", mark).reason
        assert not marked(mark)


class TestLeftBehind:
    @pytest.mark.parametrize(
        "what", ["start_child", "start_session", "start_grandchild", "start_thread", "start_stubborn_thread"]
    )
    def test_nothing_outlives_a_step_that_ends_well(self, box: Toybox, mark: str, what: str) -> None:
        box.add("leaves", toys.Misbehaves(what, mark))
        box.build(seconds=30)
        assert not marked(mark)
        assert not forks()

    def test_nothing_outlives_a_step_that_crashes(self, box: Toybox, mark: str) -> None:
        assert "SIGSEGV" in fail(box, "start_session_and_crash", mark).reason
        assert not marked(mark)

    def test_temporary_files_go_with_a_step_that_is_killed(self, box: Toybox, tmp_path: Path) -> None:
        fail(box, "leave_temporary", str(tmp_path / "places"))
        box.store.close()
        left = (tmp_path / "places").read_text().split()
        assert len(left) == 2
        assert not any(Path(place).exists() for place in left)

    def test_sockets_have_room_among_temporary_files_however_deep_the_store_is(self, tmp_path: Path) -> None:
        store = Store(tmp_path / ("d" * 100) / "store")
        reason = fail(Toybox(store), "listen").reason
        store.close()
        place = Path(reason.partition("listening at '")[2].partition("'")[0])
        assert place.is_absolute()
        assert not place.parent.parent.exists()

    def test_nothing_outlives_a_step_that_is_stopped(self, box: Toybox, mark: str) -> None:
        assert "was stopped" in fail(box, "start_session_and_sleep", mark, seconds=0.8).reason
        assert not marked(mark)

    def test_the_failure_of_one_step_stops_those_beside_it(self, box: Toybox, mark: str) -> None:
        box.add("slow", toys.Misbehaves("start_session_and_sleep", mark))
        box.add("bad", toys.Misbehaves("wait_for_mark_then_fail", mark))
        with pytest.raises(StepError, match="step bad failed"):
            box.build()
        assert not marked(mark)
        assert not forks()
        assert unsound(box.store.root) == []


class TestLog:
    def test_the_log_of_a_failed_step_is_kept_and_named(self, box: Toybox) -> None:
        error = fail(box, "value_error")
        log = box.store.root / "logs" / "target-model-bad.log"
        assert error.hint == f"log: {log}"
        assert "the last words of the step\n" in log.read_text()
        assert "ValueError: nobody\nforesaw this" in log.read_text()

    def test_the_log_says_where_a_crash_happened(self, box: Toybox) -> None:
        fail(box, "segfault")
        assert "in segfault" in (box.store.root / "logs" / "target-model-bad.log").read_text()

    def test_the_log_says_where_a_step_hung(self, box: Toybox) -> None:
        fail(box, "loop", seconds=1.2)
        assert "in loop" in (box.store.root / "logs" / "target-model-bad.log").read_text()

    def test_a_log_is_kept_to_its_end_only(self, box: Toybox) -> None:
        fail(box, "say_much")
        log = (box.store.root / "logs" / "target-model-bad.log").read_bytes()
        assert len(log) == 64 * 1024
        assert log.endswith(b"ValueError: after a long talk\n")

    def test_a_step_that_said_nothing_has_no_log_to_name(self, box: Toybox) -> None:
        assert fail(box, "exit_3").hint is None

    @pytest.mark.parametrize(
        ("what", "said"),
        [
            ("usage_error", "UsageError: target.toml: ratio: the ratio is too high"),
            ("device_error", "DeviceError: the board does not answer"),
            ("disk_full", "OSError: [Errno 28]"),
            ("missing_file", "FileNotFoundError"),
            ("out_of_memory", "MemoryError"),
            ("user_error", "ZeroDivisionError: the cause"),
            ("system_exit", "SystemExit: 3"),
        ],
    )
    def test_every_failed_step_has_a_log_that_outlives_the_build(self, box: Toybox, what: str, said: str) -> None:
        error = fail(box, what)
        log = box.store.root / "logs" / "target-model-bad.log"
        assert error.line.endswith(f"log: {log})")
        assert said in log.read_text()
        assert "in run" in log.read_text()
        Store(box.store.root).close()  # the next build sweeps what the last one left
        assert said in log.read_text()

    def test_a_hint_stays_beside_the_log(self, box: Toybox) -> None:
        assert str(fail(box, "usage_error").hint).startswith("lower it; log: ")


class TestBlame:
    """Memory and disk that ran out are nobody's code's fault; how a step failed says what the error is."""

    @pytest.mark.parametrize("what", ["out_of_memory", "torch_out_of_memory", "kernel_out_of_memory"])
    def test_memory_that_ran_out_is_no_mistake_of_the_user(self, box: Toybox, what: str) -> None:
        error = fail(box, what)
        assert (type(error), error.exit_code) == (StepError, 4)
        assert error.reason == "step target/model/bad ran out of memory (its limit is 8 GiB)"

    def test_a_full_disk_is_for_the_user_to_see_to(self, box: Toybox) -> None:
        for what in ("disk_full", "library_finds_disk_full"):
            error = fail(box, what)
            assert (type(error), error.exit_code) == (UsageError, 2)

    def test_a_machine_without_a_place_for_temporary_files_is_too(
        self, box: Toybox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def none_usable(*_: object) -> None:
            monkeypatch.setattr(tempfile, "tempdir", None)
            monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/no/such/folder"])
            tempfile.gettempdir()

        monkeypatch.setattr(worker, "started", none_usable)
        box.add("bad", toys.Write("good"))
        with pytest.raises(UsageError) as caught:
            box.build()
        reason = "step bad cannot start: no folder for temporary files can be written"
        assert caught.value.line.startswith(f"TMPDIR: {reason} (let it name one that can")

    def test_what_nobody_foresaw_is_a_failure_of_the_step(self, box: Toybox) -> None:
        assert {type(fail(box, what)) for what in ("value_error", "missing_file", "system_exit")} == {StepError}


class TestProgress:
    def test_progress_reaches_the_build_in_order(self, box: Toybox) -> None:
        box.add("slow", toys.Reports())
        box.build()
        assert box.heard.news[-1] == ("slow", 0.8, "part 4")
        assert box.heard.news == sorted(box.heard.news)

    def test_a_step_that_reports_all_the_time_is_not_held_up(
        self, box: Toybox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody listens until it has ended: a pipe that fills up would stop it for ever."""
        monkeypatch.setattr("edgebuild.engine.worker.Worker.progress", lambda _: None)
        box.add("chatter", toys.Chatter())
        assert box.text(box.build(seconds=20)["chatter"]) == "done"


class TestProgram:
    """A whole build as a program: nothing but its own words reaches its output, whoever might want to print."""

    def test_a_build_is_quiet_and_pythons_resource_tracker_has_no_complaint(self, start: Program) -> None:
        code, out, err = ended(start())
        assert (code, len(json.loads(out)), err) == (0, SIZE, "")

    def test_what_a_step_prints_goes_to_its_log(self, start: Program) -> None:
        code, out, err = ended(start("print_much"))
        assert (code, list(json.loads(out)), err) == (0, ["bad"], "")

    @pytest.mark.parametrize("what", ["value_error", "start_session_and_crash"])
    def test_a_crash_prints_one_line(self, start: Program, tmp_path: Path, what: str) -> None:
        code, out, err = ended(start(what))
        assert (code, out) == (4, "")
        assert err.startswith("step bad ")
        assert err.endswith(f"(log: {tmp_path / 'store' / 'logs' / 'bad.log'})\n")
        assert err.count("\n") == 1


class TestStart:
    @pytest.mark.parametrize(
        ("trouble", "told"),
        [
            (BlockingIOError(11, "Resource temporarily unavailable"), "step first failed: BlockingIOError"),
            (EOFError("unexpected EOF"), "step first cannot start: the server that it is forked from was killed"),
        ],
    )
    def test_a_worker_that_cannot_start_is_an_error_of_the_step_and_frees_its_lock(
        self, box: Toybox, monkeypatch: pytest.MonkeyPatch, trouble: Exception, told: str
    ) -> None:
        def refuse(_: object) -> None:
            raise trouble

        box.add("first", toys.Write("first"))
        with monkeypatch.context() as patched:
            patched.setattr(forkserver, "connect_to_new_process", refuse)
            with pytest.raises(StepError, match=told):
                box.build()
        assert box.text(box.build()["first"]) == "first"

    def test_a_ctrl_c_in_the_midst_of_it_leaves_no_process(self, box: Toybox, monkeypatch: pytest.MonkeyPatch) -> None:
        connect = forkserver.connect_to_new_process

        def interrupted(fds: list[int]) -> tuple[int, int]:
            signal.raise_signal(signal.SIGINT)
            return connect(fds)

        box.add("slow", toys.Misbehaves("sleep"))
        with monkeypatch.context() as patched:
            patched.setattr(forkserver, "connect_to_new_process", interrupted)
            with pytest.raises(KeyboardInterrupt) as caught:
                box.build()
        assert eventually(lambda: not forks())
        assert caught  # and with it all that was open when it was raised

    def test_a_server_that_was_killed_is_started_again(self, box: Toybox) -> None:
        first = box.add("first", toys.Write("first"))
        box.build()
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        os.kill(server, signal.SIGKILL)
        assert eventually(lambda: not alive(server))
        box.add("second", toys.Join(), one=first)
        assert box.text(box.build()["second"]) == "first"

    def test_a_server_that_is_killed_while_a_step_runs_is_a_crash_of_the_step(self, box: Toybox, mark: str) -> None:
        box.add("bad", toys.Misbehaves("kill_server", mark))
        with pytest.raises(StepError, match="step bad crashed"):
            box.build()
        assert eventually(lambda: not marked(mark))


def test_a_step_that_trains_has_the_threads_of_all_cores_and_others_have_one(box: Toybox) -> None:
    box.add("learns", toys.Learns())
    assert box.text(box.build()["learns"]) == str(len(os.sched_getaffinity(0)))
