"""Metrics without right and wrong examples: their values against scikit-learn's, and verdicts by bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import pearsonr
from sklearn import metrics
from sklearn.metrics.pairwise import cosine_similarity

from edgebuild.gates.statistics import paired
from edgebuild.gates.statistics.bootstrap import UndefinedError
from edgebuild.spec import dataset, documents, drawing, evidence
from edgebuild.spec.errors import StepError
from edgebuild.spec.evidence import FILE, ONLY, Evidence, Part, Scores, Undefined, Values, Verdict
from edgebuild.spec.metric import Scored
from edgebuild.spec.registry import GATES
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head
from edgebuild.spec.target import Fidelity, Gate
from edgebuild.steps.evidence.scores import Scores as Measure
from tests import tiny
from tests.gates.statistics import few
from tests.steps.evidence import folders

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 300)
LOGITS = RNG.normal(0, 1, (300, 4)) + 1.5 * np.eye(4)[LABELS]
COARSE = np.round(LOGITS[:, :2])  # many ties
TARGETS = RNG.normal(0, 1, (300, 3))
MANY = (LOGITS + RNG.normal(0, 1, (300, 4)) > 0.5).astype(np.float32)
MAPS = RNG.integers(0, 4, (300, 3, 3))
AREAS = np.where(RNG.uniform(size=MAPS.shape) < 0.7, MAPS, RNG.integers(0, 4, MAPS.shape)).astype(np.uint8)
MAPS[::7, 0, 0] = 255
VALUES = TARGETS + RNG.normal(0, 0.5, (300, 3))


def scored(metric: str) -> type[Scored]:
    kind = GATES.get(metric)
    assert issubclass(kind, Scored)
    return kind


Peer = Callable[[Any, Any], float]


def auc(outputs: Any, labels: Any) -> float:
    shares = softmax(outputs, axis=1)
    if shares.shape[1] == 2:
        return float(metrics.roc_auc_score(labels, shares[:, 1]))
    return float(metrics.roc_auc_score(labels, shares, multi_class="ovr", average="macro"))


def correlation(outputs: Any, targets: Any) -> float:
    return float(np.mean([pearsonr(x, y)[0] for x, y in zip(outputs.T, targets.T, strict=True)]))


PEERS: dict[str, tuple[str, Any, Any, Peer]] = {
    "f1": ("f1", LOGITS, LABELS, lambda o, y: metrics.f1_score(y, o.argmax(1), average="macro")),
    "f1 without a class": ("f1", LOGITS, LABELS % 2, lambda o, y: metrics.f1_score(y, o.argmax(1), average="macro")),
    "auc": ("auc", LOGITS, LABELS, auc),
    "auc of two classes with ties": ("auc", COARSE, LABELS % 2, auc),
    "auc of ties in many classes": ("auc", np.round(LOGITS), LABELS, auc),
    "mae": ("mae", VALUES, TARGETS, lambda o, y: metrics.mean_absolute_error(y, o)),
    "correlation": ("correlation", VALUES, TARGETS, correlation),
    "f1 of several classes": (
        "f1", LOGITS, MANY, lambda o, y: metrics.f1_score(y, o > 0, average="macro"),
    ),
    "average precision": (
        "average_precision", LOGITS, MANY, lambda o, y: metrics.average_precision_score(y, o, average="macro"),
    ),
    "average precision of ties": (
        "average_precision", np.round(LOGITS), MANY,
        lambda o, y: metrics.average_precision_score(y, o, average="macro"),
    ),
    "hamming": ("hamming", LOGITS, MANY, lambda o, y: 1 - metrics.hamming_loss(y, o > 0)),
    "exact match": ("exact_match", LOGITS, MANY, lambda o, y: metrics.accuracy_score(y, o > 0)),
    "miou": ("miou", AREAS, MAPS, lambda o, y: metrics.jaccard_score(y[y < 255], o[y < 255], average="macro")),
    "auc of one score": ("auc", LOGITS[:, 0], LABELS % 2, lambda o, y: metrics.roc_auc_score(y, o)),
    "cosine": ("cosine", VALUES, TARGETS, lambda o, y: float(np.diag(cosine_similarity(o, y)).mean())),
}  # fmt: skip


@pytest.mark.parametrize("kind", PEERS)
def test_the_value_is_the_librarys_on_the_whole_and_on_a_resample(kind: str) -> None:
    metric, outputs, targets, peer = PEERS[kind]
    score = scored(metric).score(outputs, targets)
    assert score(np.ones(300)) == pytest.approx(peer(outputs, targets), rel=1e-9)
    rows = np.random.default_rng(1).integers(0, 300, 300)
    drawn = np.bincount(rows, minlength=300).astype(float)
    assert score(drawn) == pytest.approx(peer(outputs[rows], targets[rows]), rel=1e-9)


UNDEFINED = {
    "f1": (LOGITS, LABELS * 0, "all held-out examples are of one class"),
    "auc": (LOGITS, LABELS % 3, "no held-out example is of class 3"),
    "correlation": (VALUES * [1, 0, 1], TARGETS, "the model answers the same value 1 always"),
    "cosine": (VALUES * (np.arange(300) != 5)[:, None], TARGETS, "the vector of example 5 has no length"),
}


@pytest.mark.parametrize("metric", UNDEFINED)
def test_a_metric_without_a_value_says_why(metric: str) -> None:
    outputs, targets, told = UNDEFINED[metric]
    with pytest.raises(UndefinedError, match=told):
        scored(metric).score(outputs, targets)


def measured(folder: Path, metric: str, ours: Any, theirs: Any, targets: Any, fidelity: Fidelity = "host") -> Scores:
    """What the step finds out about outputs."""
    data = folder / "data"
    data.mkdir(parents=True)
    dataset.write(data, "test", Split((np.zeros((len(targets), 1), np.float32),), (np.asarray(targets),)))
    inputs = {
        "candidate": folders.outputs(folder / "candidate", ours, fidelity),
        "baseline": folders.outputs(folder / "baseline", theirs),
        "data": ("data", data),
    }
    return documents.read(Scores, tiny.perform(Measure(((ONLY, metric, 0.95),)), folder / "out", inputs) / FILE)


def judge(scores: Scores, metric: str, limit: str, wanted: Fidelity = "host") -> Verdict:
    return GATES.get(metric)().judge(Gate(metric, limit, fidelity=wanted), Evidence(scores=scores))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    few.resamples(monkeypatch, 499)


def worse(metric: str, how_much: float) -> tuple[Any, Any, Any]:
    """Outputs that are worse in a share of 1,000 examples, those of the baseline, and the targets."""
    rng = np.random.default_rng(0)
    if metric in ("f1", "auc"):
        labels = rng.integers(0, 4, 1000)
        theirs = rng.normal(0, 1, (1000, 4)) + 3 * np.eye(4)[labels]
    else:
        labels = rng.normal(0, 1, (1000, 4))
        theirs = labels + rng.normal(0, 0.3, (1000, 4))
    ours = theirs + rng.normal(0, 1e-3, theirs.shape)
    bad = rng.random(1000) < how_much
    ours[bad] = rng.permuted(theirs[bad], axis=1)
    return ours, theirs, labels


CASES = {"f1": "1 pp", "auc": "1 pp", "mae": "5 %", "correlation": "0.01", "cosine": "0.01"}


@pytest.mark.parametrize("metric", CASES)
def test_noise_in_the_third_digit_passes_and_answers_that_are_lost_fail(tmp_path: Path, metric: str) -> None:
    found = measured(tmp_path / "same", metric, *worse(metric, 0))
    verdict = judge(found, metric, CASES[metric])
    assert (verdict.status, verdict.n) == ("pass", 1000)
    assert " → " in verdict.reason
    assert ", worse by less than " in verdict.reason
    lost = judge(measured(tmp_path / "lost", metric, *worse(metric, 0.2)), metric, CASES[metric])
    assert lost.status == "fail"
    assert ", worse by at least " in lost.reason
    assert lost.low is not None
    assert lost.estimate is not None
    assert lost.high is not None
    assert 0 < lost.low < lost.estimate < lost.high


def test_no_loss_that_few_examples_cannot_show_is_told_with_the_number_it_needs(tmp_path: Path) -> None:
    ours, theirs, labels = worse("f1", 0)
    ours[:5], theirs[5:10] = -ours[:5], -theirs[5:10]  # each is wrong where the other is right
    verdict = judge(measured(tmp_path, "f1", ours[:400], theirs[:400], labels[:400]), "f1", "1 pp")
    assert verdict.status == "inconclusive"
    assert "is inside the limit, but not surely (one-sided p = " in verdict.reason
    told = verdict.reason.partition("if it stays so, about ")[2]
    assert 1500 < int(told.split()[0]) < 3000  # 2,141 by the formula for accuracy, at 2.5 % discordant


def test_a_loss_beyond_the_limit_is_not_told_that_more_examples_would_do(tmp_path: Path) -> None:
    ours, theirs, labels = worse("f1", 0)
    ours[:8] = -ours[:8]
    theirs[8:11] = -theirs[8:11]
    verdict = judge(measured(tmp_path, "f1", ours[:400], theirs[:400], labels[:400]), "f1", "1 pp")
    assert verdict.status == "inconclusive"
    assert "is beyond the limit, but not surely" in verdict.reason
    assert "more examples would not make it pass" in verdict.reason


def test_no_change_in_fewer_examples_than_would_ever_do_proves_nothing(tmp_path: Path) -> None:
    """As the accuracy gate: at least z²(1 − δ)/δ."""
    _, same, labels = worse("f1", 0)
    verdict = judge(measured(tmp_path, "f1", same[:50], same[:50], labels[:50]), "f1", "1 pp")
    assert (verdict.status, verdict.high) == ("inconclusive", paired.drop_bound(0, 0, 50).high)
    assert verdict.reason == "50 examples are too few for any pass: 268 or more are needed"


def test_an_undefined_metric_is_no_pass_and_names_itself_and_why(tmp_path: Path) -> None:
    verdict = judge(measured(tmp_path, "auc", LOGITS, LOGITS, LABELS % 3), "auc", "1 pp")
    assert verdict.status == "inconclusive"
    assert verdict.reason == "auc has no value: no held-out example is of class 3"
    exact = judge(measured(tmp_path / "b", "mae", VALUES, TARGETS, TARGETS.astype(np.float32)), "mae", "5 %")
    assert exact.status == "inconclusive"
    assert exact.reason == "mae cannot be compared: the baseline makes no error on the examples"


def test_a_device_that_ran_some_examples_is_judged_on_those_and_needs_no_penalty(tmp_path: Path) -> None:
    ours, theirs, labels = worse("f1", 0)
    rows = drawing.chosen(1000, 500)
    found = measured(tmp_path, "f1", ours[rows], theirs, labels, "emulated")
    assert (found.n, found.of, found.origin.fidelity) == (500, 1000, "emulated")
    alone = measured(tmp_path / "alone", "f1", ours[rows], theirs[rows], labels[rows])
    assert found.heads[ONLY].metrics == alone.heads[ONLY].metrics
    assert judge(found, "f1", "1 pp", "emulated").status == "pass"
    verdict = judge(found, "f1", "1 pp", "hardware")
    assert verdict.reason == "inside the margin, but only emulated; the gate asks for hardware"


def test_slices_have_their_own_values_on_the_examples_that_ran(tmp_path: Path) -> None:
    ours, theirs, targets = worse("mae", 0.1)
    rows, mask = drawing.chosen(1000, 200), np.arange(1000) % 3 == 0
    data = tmp_path / "data"
    data.mkdir()
    dataset.write(data, "test", Split((np.zeros((1000, 1), np.float32),), (targets,)))
    parts = {"third": mask, "none of those": ~np.isin(np.arange(1000), rows)}
    dataset.describe(data, [Head("output", "regression")], {"test": 1000}, parts)
    inputs = {
        "candidate": folders.outputs(tmp_path / "candidate", ours[rows]),
        "baseline": folders.outputs(tmp_path / "baseline", theirs),
        "data": ("data", data),
    }
    out = tiny.perform(Measure(((ONLY, "mae", 0.95),)), tmp_path / "out", inputs)
    slices = documents.read(Scores, out / FILE).heads[ONLY].slices
    third = rows[mask[rows]]
    assert slices["third"].n == len(third)
    for role, values in (("candidate", ours), ("baseline", theirs)):
        expected = metrics.mean_absolute_error(targets[third], values[third])
        told = slices["third"].metrics["mae"]
        assert isinstance(told, Values)
        assert {"candidate": told.candidate, "baseline": told.baseline}[role] == pytest.approx(expected, rel=1e-5)
    nothing = Undefined("mae has no value: there are no examples")
    assert slices["none of those"] == Part(0, {"mae": nothing})


def test_answers_of_another_shape_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"outputs \[300, 3\] cannot be compared with the baseline's \[300, 4\]"):
        measured(tmp_path, "f1", LOGITS[:, :3], LOGITS, LABELS)


@pytest.mark.parametrize(
    ("metric", "text", "limit"),
    [("f1", "0.5 pp", 0.005), ("auc", "1 %", 0.01), ("mae", "5 %", 0.05), ("cosine", "0.01", 0.01)],
)
def test_margins_are_written_in_the_metrics_own_unit(metric: str, text: str, limit: float) -> None:
    assert GATES.get(metric).limit(text) == pytest.approx(limit)


@pytest.mark.parametrize(
    ("metric", "text"),
    [("f1", "0.01"), ("mae", "1 pp"), ("mae", "100 %"), ("mae", "0.5"), ("correlation", "1 pp"), ("cosine", "0")],
)
def test_a_margin_of_another_unit_is_refused(metric: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|plain number|must be above|may grow"):
        GATES.get(metric).limit(text)


def two_values(lost: float) -> tuple[Any, Any, Any]:
    """Candidate, baseline and targets of a value from 0 to 640 and one from 0 to 1, of which the second may be lost."""
    rng = np.random.default_rng(5)
    targets = rng.uniform(0, 1, (300, 2)) * [640, 1]
    theirs = targets + rng.normal(0, 0.02, (300, 2)) * [640, 1]
    ours = theirs.copy()
    ours[:, 1] += lost * (0.5 - theirs[:, 1])  # at 1 it says the same whatever it sees
    return ours, theirs, targets


def test_a_value_that_is_lost_beside_a_large_one_fails_the_mean_that_hides_it(tmp_path: Path) -> None:
    ours, theirs, targets = two_values(lost=0.9)
    scores = measured(tmp_path, "mae", ours, theirs, targets)
    (whole,) = scores.heads[ONLY].metrics["mae"].values()
    assert isinstance(whole, evidence.Change)
    assert whole.estimate < 0.05  # the mean of both errors says that all is well
    verdict = judge(scores, "mae", "5 %")
    assert verdict.status == "fail"
    assert verdict.reason.startswith("value 1 of 2, ")
    first, second = scores.heads[ONLY].of_values("mae", 0.95)
    assert isinstance(first, evidence.Change)
    assert isinstance(second, evidence.Change)
    assert (verdict.low, verdict.high) == (second.low, second.high)
    assert first.estimate == 0 < 1 < second.low


def test_each_value_must_keep_the_limit_and_one_alone_may_not_fail_by_chance(tmp_path: Path) -> None:
    """What fails is tested at alpha over the number of values; what passes needs no correction."""
    scores = measured(tmp_path, "mae", *two_values(lost=0.01))
    (_, second) = scores.heads[ONLY].of_values("mae", 0.95)
    alone = measured(tmp_path / "b", "mae", *(each[:, 1:] for each in two_values(lost=0.01)))
    (change,) = alone.heads[ONLY].metrics["mae"].values()
    assert isinstance(second, evidence.Change)
    assert isinstance(change, evidence.Change)
    assert second.high == change.high
    assert second.low < change.low
    assert alone.heads[ONLY].values == {}
    same = measured(tmp_path / "c", "mae", *two_values(lost=0))
    assert judge(same, "mae", "5 %").status == "pass"
