"""Points of a search are proved in an order that is known before: the first that does not pass is the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from edgebuild.engine.task import Limits
from edgebuild.search import record
from edgebuild.search.record import Result
from edgebuild.search.trial import Trial
from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import Project, open_project
from edgebuild.spec.target import SEARCHED
from edgebuild.verbs import prove, searched
from edgebuild.verbs.request import Request
from tests.scenarios.conftest import Workspace
from tests.search.test_pareto import trial


class Heard:
    """Who listens to a build: keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def project(fresh: Callable[[], Workspace]) -> Project:
    return open_project(fresh().root)


def proved(
    project: Project, monkeypatch: pytest.MonkeyPatch, verdicts: Mapping[int, str], trials: tuple[Trial, ...]
) -> tuple[list[Any], list[int | None], list[str]]:
    """What is built in the end, which trials were built one after the other, and what was said of them."""
    place = searched.place(project, "board", "tiny")
    place.mkdir(parents=True)
    record.write(place, Result("a", "board", "tiny", "few.toml", (), {}, trials, "", 1.0, taken=99))
    built: list[int | None] = []

    def build(request: Request, events: Any, limits: Limits) -> tuple[list[Any], Any]:
        assert request.recipe == SEARCHED
        assert request.trial is not None
        built.append(request.trial)
        verdict = SimpleNamespace(status=verdicts[request.trial])
        return [SimpleNamespace(verdicts=verdict, trial=request.trial)], SimpleNamespace(notices=[])

    monkeypatch.setattr(prove, "build", build)
    heard = Heard()
    request = Request(project, ("board",), ("tiny",), recipe=SEARCHED)
    outcomes, journal = prove.prove(request, heard, Limits())  # type: ignore[arg-type]
    assert journal.notices == heard.lines
    return [outcome.trial for outcome in outcomes], built, heard.lines


TRIALS = (trial(0, 0.5, 0.5, -0.3), trial(1, 0.4, 0.4, 0.0), trial(2, 0.2, 0.2, 0.6), trial(3, 0.1, 0.1, 0.9))


@pytest.mark.parametrize(
    ("verdicts", "built", "taken"),
    [
        (("pass", "pass", "inconclusive", "pass"), [0, 1, 2, 1], 1),
        (("pass", "pass", "pass", "pass"), [0, 1, 2, 3], 3),
        (("fail", "pass", "pass", "pass"), [0], 99),
    ],
)
def test_the_last_that_passed_is_built_in_the_end_and_taken(
    project: Project, monkeypatch: pytest.MonkeyPatch, verdicts: tuple[str, ...], built: list[int], taken: int
) -> None:
    outcomes, order, lines = proved(project, monkeypatch, dict(enumerate(verdicts)), TRIALS)
    assert order == built
    assert outcomes == built[-1:]
    assert [line.partition(",")[0] for line in lines] == [f"{verdicts[n]}: #{n}" for n in dict.fromkeys(built)]
    assert searched.look(project, "board", "tiny").taken == taken


def test_a_search_that_came_to_nothing_has_nothing_to_prove(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="the last search for tiny on board found no recipe that passes"):
        proved(project, monkeypatch, {}, (replace(TRIALS[0], status="rejected"),))
