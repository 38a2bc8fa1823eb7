"""Verdicts as JUnit XML: pass, `failure` for a fail, and `error` for inconclusive, which must not look green."""

from __future__ import annotations

import re
from itertools import groupby
from xml.etree import ElementTree as Xml

from edgebuild.report.judged import Judged

# What XML 1.0 cannot hold, escaped or not (section 2.2).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {"fail": "failure", "inconclusive": "error"}


def render(judged: list[Judged]) -> str:
    """A `testsuites` document: a suite for each comparison, a case for each gate."""
    root = Xml.Element("testsuites", {"name": "edgebuild", **_counts(judged)})
    for name, cases in groupby(judged, key=lambda item: item.suite):
        judged_here = list(cases)
        suite = Xml.SubElement(root, "testsuite", {"name": _clean(name), **_counts(judged_here)})
        for item in judged_here:
            _case(suite, item)
    Xml.indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


def _counts(judged: list[Judged]) -> dict[str, str]:
    statuses = [item.verdict.status for item in judged]
    failures, errors = statuses.count("fail"), statuses.count("inconclusive")
    return {"tests": str(len(judged)), "failures": str(failures), "errors": str(errors), "skipped": "0"}


def _case(suite: Xml.Element, item: Judged) -> None:
    about = {"name": _clean(item.name), "classname": f"{item.target}.{item.model}.{item.format}", "file": item.file}
    case = Xml.SubElement(suite, "testcase", {key: _clean(text) for key, text in about.items()})
    status = item.verdict.status
    if status in _ELEMENTS:
        element = Xml.SubElement(case, _ELEMENTS[status], {"type": status, "message": _clean(item.verdict.reason)})
        element.text = _clean(item.line)
    else:
        Xml.SubElement(case, "system-out").text = _clean(item.line)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
