"""The table of a build: rows from evidence, and what is printed of a verdict."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from edgebuild.gates.statistics import paired
from edgebuild.report import summary
from edgebuild.spec.evidence import Verdict
from edgebuild.verbs.build import Journal, Outcome


def rate(hits: int, n: int) -> dict[str, float]:
    bound = paired.wilson(hits, n)
    return {"accuracy": bound.estimate, "low": bound.low, "high": bound.high}


EVIDENCE: dict[str, Any] = {
    "accuracy": {"n": 400, "baseline": rate(396, 400), "candidate": rate(394, 400), "origin": {"fidelity": "host"}},
    "footprint": {
        "baseline": {"bytes": 1_000_000, "parameters": 250_000, "macs": 10_000_000},
        "candidate": {"bytes": 100_000, "parameters": 62_500, "macs": 2_500_000},
    },
    "latency": {
        "fidelity": "hardware",
        "log_ratios": [-0.69314718, -0.69314718, 5.0],
        "baseline_seconds": [0.003, 0.001, 0.002],
        "candidate_seconds": [0.001, 0.001, 0.001],
    },
}


def evidence(**more: Any) -> dict[str, Any]:
    return copy.deepcopy(EVIDENCE) | more


def row(found: dict[str, Any], name: str) -> tuple[str, ...]:
    (only,) = [line[1:] for line in summary.rows(found) if line[0] == name]
    return only


def test_every_row_has_float_compressed_and_how_they_compare() -> None:
    assert [line[0] for line in summary.rows(evidence())] == [
        "accuracy", "bytes", "parameters", "MACs", "latency (hardware)",
    ]  # fmt: skip
    assert row(evidence(), "bytes") == ("1.00 M", "100.00 k", "10.0× smaller")
    assert row(evidence(), "parameters") == ("250.00 k", "62.50 k", "4.0× smaller")
    assert row(evidence(), "MACs") == ("10.00 M", "2.50 M", "4.0× smaller")


def test_a_model_without_classes_has_no_row_of_accuracy() -> None:
    found = evidence()
    del found["accuracy"]
    assert summary.rows(found)[0][0] == "bytes"


def test_metrics_by_bootstrap_have_a_row_each_and_one_without_a_value_the_reason() -> None:
    scores = {
        "n": 500,
        "metrics": {
            "mae": {"0.95": {"baseline": 0.5, "candidate": 0.51}},
            "correlation": {"0.95": {"undefined": "correlation has no value"}},
        },
    }
    found = evidence(scores=scores)
    assert row(found, "mae") == ("0.5", "0.51", "n = 500")
    assert row(found, "correlation") == ("", "", "correlation has no value")


def test_accuracy_has_its_interval_and_the_change() -> None:
    theirs, ours, change = row(evidence(), "accuracy")
    assert theirs == "99.00% [97.46%, 99.61%]"
    assert ours == "98.50% [96.77%, 99.31%]"
    assert change == "-0.50 pp"


def test_all_right_and_all_wrong_end_exactly_at_the_whole_and_at_none() -> None:
    found = evidence(accuracy={"n": 400, "baseline": rate(400, 400), "candidate": rate(0, 400)})
    assert row(found, "accuracy") == ("100.00% [99.05%, 100.00%]", "0.00% [0.00%, 0.95%]", "-100.00 pp")


def test_time_is_the_median_and_the_speed_that_of_the_interleaved_ratios() -> None:
    assert row(evidence(), "latency (hardware)") == ("2 ms", "1 ms", "2.00× faster")


def test_a_prediction_shows_its_band_and_the_hosts_time_stands_beside_it() -> None:
    predicted = {"fidelity": "emulated", "band": 0.3, "baseline_seconds": [0.01], "candidate_seconds": [0.004]}
    host = EVIDENCE["latency"] | {"fidelity": "host"}
    found = evidence(latency=predicted, **{"host-latency": host})
    assert row(found, "latency (emulated)") == ("10 ms ± 30%", "4 ms ± 30%", "2.50× faster")
    assert row(found, "latency (host)") == ("2 ms", "1 ms", "2.00× faster")


def test_starts_and_memory_have_a_row_where_a_gate_had_them_measured() -> None:
    values = {"cold_start": {"baseline": [0.3, 0.1, 0.2], "candidate": [0.1] * 3}, "fidelity": "host"}
    found = evidence(processes=values | {"memory": {"baseline": [2**20] * 3, "candidate": [2**21] * 3}})
    assert row(found, "cold start (host)") == ("200 ms", "100 ms", "2.00× faster")
    assert row(found, "memory (host)") == ("1.0 MiB", "2.0 MiB", "2.00× larger")
    unknown = evidence(processes=values | {"memory": {"baseline": [], "candidate": []}})
    assert "memory (host)" not in [line[0] for line in summary.rows(unknown)]


def test_what_grew_or_got_slower_is_said_so() -> None:
    found = evidence()
    found["footprint"]["candidate"]["bytes"] = 4_000_000
    found["latency"]["log_ratios"] = [0.69314718] * 3
    assert row(found, "bytes")[2] == "4.0× larger"
    assert row(found, "latency (hardware)")[2] == "2.00× slower"


def test_a_model_without_products_or_parameters_can_be_shown() -> None:
    found = evidence()
    for role in ("baseline", "candidate"):
        found["footprint"][role] |= {"macs": 0, "parameters": 0}
    assert row(found, "MACs") == ("0", "0", "")
    assert row(found, "parameters") == ("0", "0", "")


class Silent:
    """Events that nobody listens to."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def outcome(status: str, folder: str = "dist/board/tiny", *formats: tuple[str, str]) -> Outcome:
    verdict = Verdict("size", "-90 %", "B", "fail" if status == "fail" else "pass", "the [reason] why", "hardware", 1)
    found = {
        name: {"status": state, "verdicts": [verdict.to_json()], "evidence": evidence()}
        for name, state in formats or (("onnx", status),)
    }
    return Outcome(
        "board", "tiny", status, Path(folder), {"status": status, "format": next(iter(found)), "formats": found}
    )


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("pass", "pass: dist/[odd] place/tiny (released)"),
        ("inconclusive", "inconclusive: dist/[odd] place/tiny (candidate, not released)"),
        ("fail", "fail: dist/[odd] place/tiny (no bundle, only the evidence)"),
    ],
)
def test_an_outcome_ends_with_status_folder_and_meaning(
    capsys: pytest.CaptureFixture[str], status: str, told: str
) -> None:
    summary.show([outcome(status, "dist/[odd] place/tiny")], Journal(Silent()))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [told, "nothing changed, nothing run"]
    assert any(line.split()[:2] == ["size", "-90"] and line.endswith("the [reason] why") for line in lines)


def test_the_format_that_ships_comes_first_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(Silent(), ran=[{"step": "a", "reason": "b"}], reused=7)
    summary.show([outcome("pass", "d", ("tflite", "pass"), ("onnx", "fail"))], journal)
    out = capsys.readouterr().out
    titles = [line for line in out.splitlines() if line.startswith("tiny for board")]
    assert titles == ["tiny for board, tflite (shipped)", "tiny for board, onnx"]
    assert out.endswith("1 steps run, 7 up to date\n")


def test_nothing_ships_when_a_gate_failed(capsys: pytest.CaptureFixture[str]) -> None:
    summary.show([outcome("fail")], Journal(Silent()))
    assert "(shipped)" not in capsys.readouterr().out


def test_the_document_has_the_verdicts_and_what_ran() -> None:
    journal = Journal(Silent(), ran=[{"step": "a", "reason": "b"}], reused=7)
    found = summary.document([outcome("pass")], journal, "pass")
    assert (found["status"], found["ran"], found["reused"]) == ("pass", journal.ran, 7)
    (bundle,) = found["bundles"]
    assert (bundle["target"], bundle["model"], bundle["folder"]) == ("board", "tiny", "dist/board/tiny")
    assert bundle["formats"]["onnx"]["verdicts"][0]["metric"] == "size"
