"""The table of a build: rows from evidence, and what is printed of a verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebuild.gates.statistics import paired
from edgebuild.report import summary
from edgebuild.spec.evidence import (
    ONLY,
    Accuracy,
    Answers,
    Change,
    Changes,
    Evidence,
    Footprint,
    Judged,
    Processes,
    Rate,
    Samples,
    Scores,
    Status,
    Undefined,
    Verdict,
    Verdicts,
    Weight,
)
from edgebuild.verbs.build import Outcome
from edgebuild.verbs.journal import Journal, Ran
from tests.measured import origin, predicted, timed


def rate(hits: int, n: int) -> Rate:
    return Rate(*paired.wilson(hits, n))


def right(baseline: int, candidate: int, n: int = 400) -> Accuracy:
    answers = Answers(n, 0, 0, rate(candidate, n), rate(baseline, n), {}, {})
    return Accuracy(origin(), {ONLY: answers})


FLOAT, SMALL = Weight(1_000_000, 1_000_000, 250_000, 10_000_000), Weight(100_000, 100_000, 62_500, 2_500_000)
TIMED = replace(timed([-0.69314718, -0.69314718, 5.0], [0.001, 0.001, 0.001]), baseline_seconds=(0.003, 0.001, 0.002))
EVIDENCE = Evidence(accuracy=right(396, 394), footprint=Footprint(SMALL, FLOAT), latency=TIMED)


def row(evidence: Evidence, name: str) -> tuple[str, ...]:
    (only,) = [line[1:] for line in summary.rows(evidence) if line[0] == name]
    return only


def test_every_row_has_float_compressed_and_how_they_compare() -> None:
    assert [line[0] for line in summary.rows(EVIDENCE)] == [
        "accuracy", "bytes", "parameters", "MACs", "latency (hardware)",
    ]  # fmt: skip
    assert row(EVIDENCE, "bytes") == ("1.00 M", "100.00 k", "10.0× smaller")
    assert row(EVIDENCE, "parameters") == ("250.00 k", "62.50 k", "4.0× smaller")
    assert row(EVIDENCE, "MACs") == ("10.00 M", "2.50 M", "4.0× smaller")


def test_a_model_without_classes_has_no_row_of_accuracy() -> None:
    assert summary.rows(replace(EVIDENCE, accuracy=None))[0][0] == "bytes"


def test_of_several_heads_each_is_named() -> None:
    (answers,) = right(396, 394).heads.values()
    both = replace(EVIDENCE, accuracy=Accuracy(origin(), {"sign": answers, "lane": answers}))
    assert [line[0] for line in summary.rows(both)][:2] == ["accuracy of sign", "accuracy of lane"]


def test_metrics_by_bootstrap_have_a_row_each_and_one_without_a_value_the_reason() -> None:
    mae = Change(candidate=0.51, baseline=0.5, estimate=0.02, low=0.0, high=0.1, error=0.01, method="bootstrap")
    metrics = {"mae": {"0.95": mae}, "correlation": {"0.95": Undefined("correlation has no value")}}
    scores = Scores(origin(), 500, 500, {ONLY: Changes(metrics, {})})
    evidence = replace(EVIDENCE, scores=scores)
    assert row(evidence, "mae") == ("0.5", "0.51", "n = 500")
    assert row(evidence, "correlation") == ("", "", "correlation has no value")


def test_accuracy_has_its_interval_and_the_change() -> None:
    theirs, ours, change = row(EVIDENCE, "accuracy")
    assert theirs == "99.00% [97.46%, 99.61%]"
    assert ours == "98.50% [96.77%, 99.31%]"
    assert change == "-0.50 pp"


def test_all_right_and_all_wrong_end_exactly_at_the_whole_and_at_none() -> None:
    evidence = replace(EVIDENCE, accuracy=right(400, 0))
    assert row(evidence, "accuracy") == ("100.00% [99.05%, 100.00%]", "0.00% [0.00%, 0.95%]", "-100.00 pp")


def test_time_is_the_median_and_the_speed_that_of_the_interleaved_ratios() -> None:
    assert row(EVIDENCE, "latency (hardware)") == ("2 ms", "1 ms", "2.00× faster")


def test_a_prediction_shows_its_band_and_the_hosts_time_stands_beside_it() -> None:
    host = replace(TIMED, fidelity="host")
    evidence = replace(EVIDENCE, latency=predicted(0.004, 0.01), host_latency=host)
    assert row(evidence, "latency (emulated)") == ("10 ms ± 30%", "4 ms ± 30%", "2.50× faster")
    assert row(evidence, "latency (host)") == ("2 ms", "1 ms", "2.00× faster")


def test_starts_and_memory_have_a_row_where_a_gate_had_them_measured() -> None:
    starts, memory = Samples((0.1,) * 3, (0.3, 0.1, 0.2)), Samples((2.0**21,) * 3, (2.0**20,) * 3)
    processes = Processes("host", "that", (3,), 3, starts, memory, {})
    evidence = replace(EVIDENCE, processes=processes)
    assert row(evidence, "cold start (host)") == ("200 ms", "100 ms", "2.00× faster")
    assert row(evidence, "memory (host)") == ("1.0 MiB", "2.0 MiB", "2.00× larger")
    unknown = replace(EVIDENCE, processes=replace(processes, memory=Samples((), ())))
    assert "memory (host)" not in [line[0] for line in summary.rows(unknown)]


def test_what_grew_or_got_slower_is_said_so() -> None:
    weights = Footprint(replace(SMALL, bytes=4_000_000, download=4_000_000), FLOAT)
    evidence = replace(EVIDENCE, footprint=weights, latency=replace(TIMED, log_ratios=(0.69314718,) * 3))
    assert row(evidence, "bytes")[2] == "4.0× larger"
    assert row(evidence, "latency (hardware)")[2] == "2.00× slower"


def test_a_model_without_products_or_parameters_can_be_shown() -> None:
    nothing = (replace(each, macs=0, parameters=0) for each in (SMALL, FLOAT))
    evidence = replace(EVIDENCE, footprint=Footprint(*nothing))
    assert row(evidence, "MACs") == ("0", "0", "")
    assert row(evidence, "parameters") == ("0", "0", "")


class Silent:
    """Events that nobody listens to."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def outcome(status: Status, folder: str = "dist/board/tiny", *formats: tuple[str, Status]) -> Outcome:
    verdict = Verdict("size", "-90 %", "B", "fail" if status == "fail" else "pass", "the [reason] why", "hardware", 1)
    every: dict[str, Status] = dict(formats or (("onnx", status),))
    judged = {name: Judged(state, (verdict,), EVIDENCE) for name, state in every.items()}
    return Outcome("board", "tiny", status, Path(folder), Verdicts(status, next(iter(judged)), judged))


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("pass", "pass: dist/[odd] place/tiny (released)"),
        ("inconclusive", "inconclusive: dist/[odd] place/tiny (candidate, not released)"),
        ("fail", "fail: dist/[odd] place/tiny (no bundle, only the evidence)"),
    ],
)
def test_an_outcome_ends_with_status_folder_and_meaning(
    capsys: pytest.CaptureFixture[str], status: Status, told: str
) -> None:
    summary.show([outcome(status, "dist/[odd] place/tiny")], Journal(Silent()))
    lines = capsys.readouterr().out.splitlines()
    more = ["next: edgebuild search --target board --model tiny looks for a recipe that passes"]
    assert lines[-3 if status == "fail" else -2 :] == [told, *more[: status == "fail"], "nothing changed, nothing run"]
    assert any(line.split()[:2] == ["size", "-90"] and line.endswith("the [reason] why") for line in lines)


def test_the_format_that_ships_comes_first_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(Silent(), ran=[Ran("a", "b")], reused=7)
    summary.show([outcome("pass", "d", ("tflite", "pass"), ("onnx", "fail"))], journal)
    out = capsys.readouterr().out
    titles = [line for line in out.splitlines() if line.startswith("tiny for board")]
    assert titles == ["tiny for board, tflite (shipped)", "tiny for board, onnx"]
    assert out.endswith("1 steps run, 7 up to date\n")


def test_nothing_ships_when_a_gate_failed(capsys: pytest.CaptureFixture[str]) -> None:
    summary.show([outcome("fail")], Journal(Silent()))
    assert "(shipped)" not in capsys.readouterr().out


def test_the_document_has_the_verdicts_and_what_ran() -> None:
    journal = Journal(Silent(), ran=[Ran("a", "b")], reused=7)
    document = summary.document([outcome("pass")], journal, "pass")
    assert (document["status"], document["ran"], document["reused"]) == ("pass", [{"step": "a", "reason": "b"}], 7)
    (bundle,) = document["bundles"]
    assert (bundle["target"], bundle["model"], bundle["folder"]) == ("board", "tiny", "dist/board/tiny")
    assert bundle["formats"]["onnx"]["verdicts"][0]["metric"] == "size"
