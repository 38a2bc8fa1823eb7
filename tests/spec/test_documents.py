"""Documents are read into the types that wrote them, or refused in one line that names the field: never misread."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from edgebuild.spec import documents, evidence
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import Evidence, Footprint, Judged, Latencies, Verdict, Verdicts, Weight
from tests import measured

RIGHT = measured.accuracy(3, 4, 500, compared=measured.on_device(1), classes=measured.groups({"cat": (1, 0, 50)}))
WHOLE = measured.together(
    RIGHT,
    measured.footprint(measured.weight(100), measured.weight(400)),
    measured.processes([1.0], [2.0]),
    Evidence(latency=measured.predicted(0.1), host_latency=measured.timed([0.5], void="11 blocks were void")),
    Evidence(arena=measured.arena(3, 4)),
)
VERDICT = Verdict("size", "-60 %", "B", "inconclusive", "why", "hardware", 1, None, float("inf"), 2.5)
VERDICTS = Verdicts("inconclusive", "onnx", {"onnx": Judged("inconclusive", (VERDICT,), WHOLE)})


def test_what_is_written_is_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.json"
    documents.write(path, VERDICTS)
    assert documents.read(Verdicts, path) == VERDICTS
    content = json.loads(path.read_text())
    assert content["schema"] == documents.SCHEMA
    found = content["formats"]["onnx"]["evidence"]
    assert sorted(found) == ["accuracy", "arena", "footprint", "host-latency", "latency", "processes"], (
        "only what is there"
    )


@pytest.mark.parametrize("kind", ["timed", "predicted", "estimated"])
def test_a_latency_is_read_as_the_kind_that_it_is(kind: str) -> None:
    latency: evidence.Latency = {
        "timed": measured.timed(),
        "predicted": measured.predicted(1.0),
        "estimated": measured.estimated(1.0),
    }[kind]
    read = documents.from_json(Latencies, documents.to_json(Latencies({"onnx": latency})), file="x")
    assert read.formats["onnx"] == latency
    assert type(read.formats["onnx"]) is type(latency)


CHANGES: dict[str, tuple[Any, str]] = {
    "a field less": (lambda d: d["candidate"].pop("macs"), "candidate.macs: is missing"),
    "a field more": (lambda d: d["candidate"].update(flops=3), "candidate.flops: is unknown"),
    "another type": (lambda d: d["baseline"].update(bytes="9"), 'baseline.bytes: is not of type int: "9"'),
    "a fraction": (lambda d: d["baseline"].update(bytes=9.0), "baseline.bytes: is not of type int: 9.0"),
    "a truth value": (lambda d: d["baseline"].update(bytes=True), "baseline.bytes: is not of type int: true"),
    "nothing": (lambda d: d["baseline"].update(bytes=None), "baseline.bytes: is not of type int: null"),
    "no table": (lambda d: d.update(baseline=[]), "baseline: is not a table: []"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_fit_is_refused_with_file_field_and_reason(tmp_path: Path, change: str) -> None:
    path, (alter, told) = tmp_path / "evidence.json", CHANGES[change]
    documents.write(path, Footprint(measured.weight(), measured.weight()))
    content = json.loads(path.read_text())
    alter(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError) as caught:
        documents.read(Footprint, path)
    line = f"{path}: {told} (it is of another version of edgebuild: build it again with this one)"
    assert (caught.value.line, caught.value.exit_code) == (line, 2)


# As `evidence.json` was before evidence had types: without a schema, right answers of the model and not of a head.
BEFORE = {
    "accuracy": '{"n": 400, "lost": 0, "won": 0, "candidate": {"accuracy": 1.0, "low": 0.99, "high": 1.0}, "baseline": '
    '{"accuracy": 1.0, "low": 0.99, "high": 1.0}, "classes": {}, "slices": {}, "origin": {"device": "local", '
    '"fidelity": "hardware", "runtimes": {"litert": "2.3.0"}}}',
    "parity": '{"candidate": {"agreement": 1.0, "cosine": 0.99, "max_abs": 1.1, "n": 400, "relative": 0.05, '
    '"snr_db": 42.0}, "converted": {"agreement": 1.0, "cosine": 1.0, "max_abs": 0.0, "n": 400, "relative": 0.0, '
    '"snr_db": 139.0}, "origin": {"device": "local", "fidelity": "hardware", "runtimes": {}}}',
    "footprint": '{"baseline": {"bytes": 64308, "download": 64308, "macs": 870312, "parameters": 14692}, '
    '"candidate": {"bytes": 14328, "download": 14328, "macs": 473364, "parameters": 7796}}',
}


@pytest.mark.parametrize("kind", BEFORE)
def test_evidence_of_the_version_before_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    (tmp_path / evidence.FILE).write_text(BEFORE[kind])
    with pytest.raises(
        UsageError, match=r"evidence.json: is no document of schema 2 \(it is of another version"
    ) as said:
        evidence.gather({f"{kind}/onnx": tmp_path}, "onnx")
    assert said.value.line.count("\n") == 0


@pytest.mark.parametrize("text", ["", "[]", "7", '{"schema": 2', '{"schema": 3}', "[" * 100_000, "\x00"])
def test_what_is_no_document_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=r"x.json: (cannot be read|is no document of schema 2)"):
        documents.read(Weight, tmp_path / "x.json")


def _kinds(kind: Any, seen: dict[Any, None]) -> dict[Any, None]:
    """A type and all that its fields are made of."""
    for part in (kind, *get_args(kind)):
        if is_dataclass(part) and part not in seen:
            seen[part] = None
            for hint in get_type_hints(part).values():
                _kinds(hint, seen)
        elif part is not kind:
            _kinds(part, seen)
    return seen


def test_every_kind_is_frozen_and_slotted_and_no_two_of_a_union_have_the_same_fields() -> None:
    kinds = [*_kinds(Verdicts, {}), *_kinds(Latencies, {}), *_kinds(evidence.StageTimes, {})]
    assert len({*kinds}) > 30
    for kind in kinds:
        assert kind.__dataclass_params__.frozen
        assert "__slots__" in vars(kind)
    for union in ((evidence.Timed, evidence.Predicted, evidence.Estimated), (evidence.Change, evidence.Undefined)):
        needed = [{f.name for f in fields(kind) if f.default is MISSING} for kind in union]
        known = [{f.name for f in fields(kind)} for kind in union]
        for place, names in enumerate(needed):
            assert [k for k, every in enumerate(known) if names <= every] == [place]


def test_the_evidence_on_one_format_is_gathered_from_its_roles(tmp_path: Path) -> None:
    both = Latencies({"onnx": measured.timed(), "tflite": measured.estimated(2.0)})
    for name, document in (("f", WHOLE.footprint), ("other", WHOLE.footprint), ("l", both)):
        (tmp_path / name).mkdir()
        documents.write(tmp_path / name / evidence.FILE, document)
    roles = {"footprint/onnx": "f", "footprint/tflite": "other", "latency": "l", "host-latency": "l"}
    gathered = evidence.gather({role: tmp_path / name for role, name in roles.items()}, "onnx")
    timed = measured.timed()
    assert gathered == replace(Evidence(), footprint=WHOLE.footprint, latency=timed, host_latency=timed)
