"""Reports for other programs: JUnit, SARIF and Markdown hold what was judged, whatever the words are made of."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from edgebuild.report import junit, markdown, sarif
from edgebuild.report.judged import Judged, of_build, write
from edgebuild.spec import evidence
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import Evidence, Status, Verdict, Verdicts
from edgebuild.spec.project import open_project
from edgebuild.verbs.build import Outcome

NASTY = 'a | b\n<script>&amp;]]> "quoted" \x00\x1b[31m @someone [link](x) `code` \ud7ff \uffff 模型'


def judged(status: Status, metric: str = "latency", limit: str = "-50 %", reason: str = "why", **more: Any) -> Judged:
    verdict = Verdict(metric, limit, "change", status, reason, "emulated", 7, -0.6, -0.7, -0.5)
    names = {"target": "rpi4", "model": "digits", "format": "tflite", "against": "the float model"} | more
    return Judged(file="targets/rpi4.toml", verdict=verdict, **names)


ALL = [judged("pass", "size"), judged("fail"), judged("inconclusive", "accuracy", "1 pp"), judged("pass", against="v1")]


def test_junit_has_a_suite_a_comparison_and_inconclusive_is_no_pass() -> None:
    root = Xml.fromstring(junit.render(ALL))
    assert root.attrib == {"name": "edgebuild", "tests": "4", "failures": "1", "errors": "1", "skipped": "0"}
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in root] == [
        ("rpi4/digits/tflite against the float model", "3", "1"),
        ("rpi4/digits/tflite against v1", "1", "0"),
    ]
    cases = {case.get("name"): case for case in root[0]}
    assert [child.tag for child in cases["size -50 %"]] == ["system-out"]
    assert cases["latency -50 %"][0].tag == "failure"
    assert cases["accuracy 1 pp"][0].tag == "error"
    assert cases["accuracy 1 pp"][0].text == "why (n = 7, emulated)"


def test_junit_is_xml_whatever_the_words_are() -> None:
    root = Xml.fromstring(junit.render([judged("fail", reason=NASTY, model=NASTY)]))
    told = root[0][0][0].get("message") or ""
    assert '<script>&amp;]]> "quoted"' in told
    assert "模型" in told
    assert "\x1b" not in told


def test_sarif_has_what_the_standard_requires() -> None:
    """The required properties of SARIF 2.1.0 (OASIS, sections 3.13, 3.14, 3.18, 3.19, 3.27, 3.49), by hand."""
    log = json.loads(sarif.render(ALL))
    assert log["version"] == "2.1.0"  # 3.13.2, required
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]  # 3.13.4, required
    driver = run["tool"]["driver"]  # 3.14.6 and 3.18.2, required
    assert driver["name"] == "edgebuild"  # 3.19.8, required
    ids = [rule["id"] for rule in driver["rules"]]  # 3.49.3, required
    assert ids == ["gate/size", "gate/latency", "gate/accuracy"]
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])  # 3.12.3: a message string has text
    assert [(result["ruleId"], result["kind"], result["level"]) for result in run["results"]] == [
        ("gate/latency", "fail", "error"),
        ("gate/accuracy", "open", "none"),  # 3.27.10: what is no failure has level none
    ]
    for result in run["results"]:
        assert result["message"]["text"]  # 3.27.11, required
        assert ids[result["ruleIndex"]] == result["ruleId"]  # 3.27.6
        place = result["locations"][0]["physicalLocation"]  # 3.29.2: an address or an artifact location
        assert place["artifactLocation"]["uri"] == "targets/rpi4.toml"
        assert place["region"]["startLine"] >= 1  # 3.30.5
    identities = [result["partialFingerprints"]["edgebuildGate/v1"] for result in run["results"]]
    assert len({*identities}) == len(identities)


def test_sarif_is_json_whatever_the_words_and_numbers_are() -> None:
    odd = judged("fail", reason=NASTY)
    odd = replace(odd, verdict=replace(odd.verdict, high=math.inf))
    (result,) = json.loads(sarif.render([odd]), parse_constant=pytest.fail)["runs"][0]["results"]
    assert result["properties"]["high"] is None
    assert "<script>" in result["message"]["text"]


def test_markdown_puts_what_did_not_pass_first_and_escapes_all_markup() -> None:
    text = markdown.render([judged("pass", "size"), judged("fail", reason=NASTY)])
    rows = [line for line in text.splitlines() if line.startswith("| ") and "gate" not in line]
    assert [row.split("|")[1].strip() for row in rows] == ["❌", "✅"]
    assert "\\<script\\>" in rows[0]
    assert "\\@someone" in rows[0]
    assert "a \\| b" in rows[0]
    assert "<script>" not in text


def test_markdown_fits_any_limit_and_says_what_is_left_out() -> None:
    many = [judged("fail", reason=f"{number} " + "x|" * 40, against=f"v{number // 5}") for number in range(300)]
    for limit in [*range(400, 3000, 7), 30_001]:
        text = markdown.render(many, limit)
        shown = sum("❌" in line for line in text.splitlines())
        assert len(text) <= limit
        assert len(text) > limit - 600  # no more is left out than must be
        assert f"{300 - shown} more verdicts are left out" in text


def test_markdown_fits_what_code_hosts_take() -> None:
    text = markdown.render([judged("fail", reason="模" * 200)] * 3000)
    assert len(text) <= 65_536
    assert len(text.encode()) <= 2**20


def test_markdown_that_fits_leaves_nothing_out() -> None:
    text = markdown.render(ALL)
    assert "left out" not in text
    assert text.count("### edgebuild") == 2


def test_every_report_says_what_to_do_next() -> None:
    item = judged("fail")
    item = replace(item, verdict=replace(item.verdict, next="another recipe"))
    assert "why (n = 7, emulated). Try another recipe" in junit.render([item])
    assert "Try another recipe" in json.loads(sarif.render([item]))["runs"][0]["results"][0]["message"]["text"]
    assert "why. Try another recipe" in markdown.render([item])
    assert "Try" not in junit.render(ALL) + sarif.render(ALL) + markdown.render(ALL)


def test_nothing_judged_is_a_valid_report() -> None:
    assert Xml.fromstring(junit.render([])).get("tests") == "0"
    assert json.loads(sarif.render([]))["runs"][0]["results"] == []
    assert markdown.render([]) == ""


def test_of_a_build_only_the_shipped_format_counts_and_the_file_that_has_the_gate_is_named(tmp_path: Path) -> None:
    """A model's budget, else a target's gate, else the policy: where the reader must go to change it."""
    project = Path(__file__).parent.parent / "scenarios" / "project"
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    declared = tmp_path / "models" / "tiny" / "model.toml"
    declared.write_text(declared.read_text() + '[budgets.host]\nlatency = "+3 %"\n')
    statuses: dict[str, Status] = {"onnx": "fail", "tflite": "pass"}
    formats = {
        name: evidence.Judged(status, (judged(status).verdict,), Evidence()) for name, status in statuses.items()
    }
    outcomes = [
        Outcome(target, "tiny", "pass", tmp_path, Verdicts("pass", "tflite", formats))
        for target in ("board", "rpi4", "host")
    ]
    found = of_build(outcomes, open_project(tmp_path))
    assert [(item.format, item.verdict.status, item.file) for item in found] == [
        ("tflite", "pass", "targets/board.toml"),
        ("tflite", "pass", "policies/default.toml"),
        ("tflite", "pass", "models/tiny/model.toml"),
    ]


def test_a_report_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        write(tmp_path / "no" / "folder.xml", junit.render, ALL)
