"""A core's time model, fitted to some published figures and asked for all others: constants, errors and bands."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from benchmarks._bands import band
from benchmarks._counting import Work, works
from benchmarks._fitting import SAME, Fit, Point, candidates, chosen, log_error, seconds
from benchmarks._published import FIGURES, MEMORY, NETS, Figure
from benchmarks.mobilenets import TITLES
from edgebuild.spec import documents
from edgebuild.spec.core import TimeModel
from edgebuild.spec.target import Target


@dataclass(frozen=True, slots=True)
class Prediction:
    """A published figure, what the core's work was counted to be, and what the model says that was not fitted to it."""

    figure: Figure
    work: Work
    seconds: float

    @property
    def name(self) -> str:
        """The network as people call it."""
        return TITLES.get(self.figure.net) or NETS[self.figure.net].title

    @property
    def row(self) -> dict[str, Any]:
        """What a table shows of it: whose figure it is, how far it is off, and what it rests on."""
        figure = self.figure
        return {
            "model": self.name,
            "net": figure.net,
            "numbers": figure.numbers,
            "device": figure.device,
            "runtime": figure.runtime,
            "threads": figure.threads,
            "published": figure.milliseconds,
            "error": math.expm1(self.log_error),
            "counted": documents.to_json(self.work.whole),
        }

    @property
    def log_error(self) -> float:
        """The logarithm of predicted over published."""
        return math.log(1e3 * self.seconds / self.figure.milliseconds)


@dataclass(frozen=True, slots=True)
class Margin:
    """What the errors of a format on so many threads support: those of the fit alone, and of all that make the band.

    `fitted` and `figures` count them, `median` is that of the latter; `rule` is that of `_bands.band`, of these.
    """

    format: str
    threads: int
    fitted: int
    forecast: float | None
    figures: int
    median: float
    error: float
    rule: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fits of all sets of terms, the one chosen, and each figure as the others predict it; those that came `later`
    as the target's profile predicts them.
    """

    target: Target
    fits: tuple[Fit, ...]
    chosen: Fit
    left_out: tuple[Prediction, ...]
    tested: tuple[Prediction, ...]
    later: tuple[Prediction, ...] = ()

    def margins(self) -> list[Margin]:
        """One for each format and number of threads that figures are known of."""
        return [self._margin(*kind) for kind in self._kinds()]

    def forecast(self, prediction: Prediction) -> float | None:
        """The band that the leave-one-out errors support for a figure of the test, before that was looked at."""
        errors = [each.log_error for each in self.left_out if _kind(each) == _kind(prediction)]
        return band(errors)[0] if errors else None

    def any_runtime(self) -> float:
        """The band for a runtime that nobody has published figures of: what all runtimes' figures are off."""
        return band([each.log_error for each in [*self.left_out, *self.tested]])[0]

    def ratio(self) -> float:
        """The band of the ratio of two files, from every pair of figures of one source on as many threads."""
        known = [prediction for kind in self._kinds() for prediction in self._known(*kind)]
        errors = [
            one.log_error - other.log_error
            for one, other in combinations(known, 2)
            if _kind(one) == _kind(other) and one.figure.runtime == other.figure.runtime
        ]
        return band(errors)[0]

    def _kinds(self) -> list[tuple[str, int]]:
        return sorted({_kind(prediction) for prediction in [*self.left_out, *self.tested]})

    def _known(self, name: str, threads: int) -> list[Prediction]:
        """The figures whose errors make the band."""
        every = [each for each in [*self.left_out, *self.tested] if _kind(each) == (name, threads)]
        same = [each for each in every if each.figure.same_kernels]
        return same if len(same) >= SAME else [each for each in every if each in same or each.figure.numbers == "float"]

    def _margin(self, name: str, threads: int) -> Margin:
        own = [each for each in self.left_out if _kind(each) == (name, threads)]
        errors = [each.log_error for each in self._known(name, threads)]
        error, rule = band(errors)
        forecast = self.forecast(own[0]) if own else None
        median = math.expm1(statistics.median(map(abs, errors)))
        return Margin(name, threads, len(own), forecast, len(errors), median, error, rule)


def calibrate(found: Target, model: TimeModel, core: str) -> Calibration:
    """Fit `model`, the profile's, to the core's figures of the set "fit", with the work counted on the target, and ask
    it for the rest; those of the set "later" are asked of `model` as it is.

    Figures whose threads nobody knows are left to `unknown_threads`.
    """
    known = [each for each in FIGURES if each.core == core and each.threads]
    counted = _counted(found, known)
    fitted = [each for each in known if each.set == "fit"]
    points = [_point(each, counted[each]) for each in fitted]
    fits = candidates(points, model, MEMORY[found.name])
    best = chosen(fits)
    left_out = [
        Prediction(each, counted[each], math.exp(error) * each.milliseconds / 1e3)
        for each, error in zip(fitted, best.unseen, strict=True)
    ]

    def predicted(which: str, by: TimeModel) -> tuple[Prediction, ...]:
        chosen = [each for each in known if each.set == which]
        return tuple(Prediction(each, counted[each], seconds(_point(each, counted[each]), by)) for each in chosen)

    return Calibration(
        found, tuple(fits), best, tuple(left_out), predicted("test", best.model), predicted("later", model)
    )


def unknown_threads(found: Target, model: TimeModel, core: str, threads: Sequence[int]) -> list[tuple[Prediction, ...]]:
    """What the model says of figures whose threads nobody knows, for each number of threads."""
    unknown = [each for each in FIGURES if each.core == core and not each.threads]
    counted = _counted(found, unknown)
    return [
        tuple(
            Prediction(each, counted[each], seconds(_point(each, counted[each], number), model)) for number in threads
        )
        for each in unknown
    ]


def fitted_error(prediction: Prediction, model: TimeModel) -> float:
    """Relative error of a model that was fitted to the figure too."""
    return math.expm1(log_error(_point(prediction.figure, prediction.work), model))


def _counted(found: Target, figures: Sequence[Figure]) -> Mapping[Figure, Work]:
    kinds = {(each.net, each.format): set[str]() for each in figures}
    for each in figures:
        kinds[each.net, each.format].add(each.numbers)
    counted = {kind: works(found, *kind, wanted=numbers) for kind, numbers in kinds.items()}
    return {each: counted[each.net, each.format][each.numbers] for each in figures}


def _point(figure: Figure, work: Work, threads: int | None = None) -> Point:
    return Point(figure.net, work.whole, figure.milliseconds, threads or figure.threads, figure.clock)


def _kind(prediction: Prediction) -> tuple[str, int]:
    return prediction.figure.format, prediction.figure.threads
