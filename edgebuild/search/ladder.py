"""Tries recipes as far as it pays: planned, bounded, counted untrained, trained a little, and the best of those whole.

What is trained whole is so while the next recipes are counted: a training has one core, and others would wait for it.
Successive halving (Jamieson & Talwalkar 2016): of the recipes that were trained a little the best third is trained
whole, by what they would add to the points that are known.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from edgebuild.search import bounds, pareto, weighing
from edgebuild.search.bench import Answered, Bench, Counted, Draft, Measured, Refused
from edgebuild.search.trial import Loss, Miss, Point, Rung, Status, Step, Trial
from edgebuild.search.weighing import Weighed
from edgebuild.spec.evidence import known
from edgebuild.spec.target import Gate

_PASSES = "passes every gate that a search looks at"
_ALIKE = 0.01  # of bytes: the same layers quantized a little otherwise
_NOTHING = "another that passes takes no more time and bytes, and nobody has lost less"
_OFTEN = 6  # times that the same format, and no other, was the fastest, after which it is counted first
_NEAR = 0.25  # of a limit: beyond, a file in another format, which has the same weights, misses it as well
_DIGITS = 6  # of a volume: as much is as much, however it is added up
_SHARE = 3  # one in so many of those that were trained a little is trained whole


@dataclass(frozen=True, slots=True)
class _Open:
    """A draft that nothing stops so far, with what is counted of it, whether that is within the goals, and what a brief
    training lost.
    """

    draft: Draft
    point: Point
    goals: bool
    short: Loss | None = None


class Ladder:
    """Tries drafts. `known` are all trials so far: it grows with what `climb` gives."""

    def __init__(
        self,
        bench: Bench,
        gates: Sequence[Gate],
        goals: Sequence[Gate] = (),
        known: Sequence[Trial] = (),
        share: int | None = _SHARE,
    ) -> None:
        """`gates` must hold; with `goals` as well a recipe satisfies. One in `share` is trained whole, or with None all
        are.
        """
        self._bench, self._goals, self.known, self._share = bench, goals, [*known], share
        self._counted = [gate for gate in gates if weighing.is_counted(gate)]
        self._gates = [gate for gate in gates if weighing.is_seen(gate)]
        self._fastest = Counter[str]()
        self._chosen: list[_Open] = []

    @property
    def waiting(self) -> int:
        """How many were chosen to be trained whole, which the next `climb` does."""
        return len(self._chosen)

    def climb(self, drafts: Sequence[Draft]) -> list[Trial]:
        """What became of those that ended, and of those that waited; nothing of what the time did not suffice for."""
        before, (waited, self._chosen) = len(self.known), (self._chosen, [])
        able = [draft for draft in drafts if not self._end(self._refusal(draft))]
        reached, whole = self._measured(able, waited)
        for each in whole:
            self._end(each)
        counted = [each for each in reached if not self._end(each) and isinstance(each, _Open)]
        self._chosen = self._promoted(self._promising(counted))
        return self.known[before:]

    def _end(self, reached: _Open | Trial | None) -> bool:
        """Whether this is an end, which is known from now on."""
        if isinstance(reached, Trial):
            self.known.append(reached)
        return isinstance(reached, Trial)

    def _refusal(self, draft: Draft) -> Trial | None:
        """What a recipe that is impossible or too large by bounds ends as; nothing has run for it."""
        steps = self._bench.steps(draft.recipe)
        if isinstance(steps, Refused):
            return _rejected(draft, "planned", steps.reason)
        refused = [bounds.refused(steps, base, self._gates) for base in self._bench.baselines.values()]
        if not all(refused):
            return None
        least = min(refused, key=lambda each: each[0].excess)
        return _rejected(draft, "bounded", f"at best {least[0]}", least)

    def _measured(
        self, drafts: Sequence[Draft], waited: Sequence[_Open]
    ) -> tuple[list[_Open | Trial | None], list[Trial | None]]:
        """What drafts reach when they are counted, and what those come to that are trained whole meanwhile.

        Counted is the format that was the fastest all along if there is one, and the others where that is just beyond a
        limit; a trained file that is another than was counted is counted again.
        """
        usual = self._usual()
        counts, whole = self._side_by_side(
            [Counted(draft.recipe, usual) for draft in drafts],
            [Answered(one.draft.recipe, one.point.format) for one in waited],
        )
        reached = [self._reached(*pair) for pair in zip(drafts, counts, strict=True)]
        near = [n for n, each in enumerate(reached) if usual and isinstance(each, Trial) and 0 < each.excess <= _NEAR]
        others = [n for n, (one, files) in enumerate(zip(waited, whole, strict=True)) if _differs(one.point, files)]
        counts, again = self._side_by_side(
            [Counted(drafts[n].recipe) for n in near],
            [Answered(waited[n].draft.recipe, waited[n].point.format, again=True) for n in others],
        )
        for n, files in zip(near, counts, strict=True):
            reached[n] = self._reached(drafts[n], files)
        for n, files in zip(others, again, strict=True):
            whole[n] = files
        return reached, [self._ended(*pair) for pair in zip(waited, whole, strict=True)]

    def _side_by_side(
        self, counted: Sequence[Counted], answered: Sequence[Answered]
    ) -> tuple[list[Measured], list[Measured]]:
        measured = self._bench.measure([*counted, *answered])
        return measured[: len(counted)], measured[len(counted) :]

    def _usual(self) -> tuple[str, ...]:
        """The format that was the fastest so often that nobody need ask; none where there is none. A file within the
        limits whose other format is beyond them says nothing of which is faster.
        """
        return tuple(self._fastest) if len(self._fastest) == 1 and self._fastest.total() >= _OFTEN else ()

    def _promising(self, counted: Sequence[_Open]) -> list[_Open]:
        """Those that would add something to what is known if they lost as little as the best of these."""
        if self._share is None:
            return [*counted]
        known = [trial.point for trial in self.known if trial.passes and trial.point]
        least = min((point.loss.share for point in known if point.loss), default=0.0)
        best = Loss("", "", 0, min(least, 0.0), 0.0, 0.0, 0.0)
        gains = self._added([replace(one.point, loss=best) for one in counted])
        for one, gain in zip(counted, gains, strict=True):
            if gain <= 0:
                self._end(_trial(one.draft, "counted", _NOTHING, point=one.point, status="behind"))
        return [one for one, gain in zip(counted, gains, strict=True) if gain > 0]

    def _reached(self, draft: Draft, counts: Measured) -> _Open | Trial | None:
        """The fastest file within the limits on what is counted, or what the nearest one missed."""
        if counts is None:
            return None
        if isinstance(counts, Refused):
            refused = _rejected(draft, "planned" if counts.planned else "counted", counts.reason)
            return replace(refused, refused_at=counts.place)
        if len(counts) > 1:
            self._fastest[min(counts, key=lambda each: weighing.point(each).seconds).format] += 1
        judged = [(each, weighing.misses(self._judge(each, self._counted))) for each in counts]
        passing = [(weighing.point(each), each) for each, missed in judged if not missed]
        if not passing:
            nearest, missed = min(judged, key=lambda pair: pair[1][0].excess)
            return _rejected(draft, "counted", str(missed[0]), missed, weighing.point(nearest))
        point, weighed = min(passing, key=lambda pair: pair[0].seconds)
        counted = [goal for goal in self._goals if weighing.is_counted(goal)]
        return _Open(draft, point, not weighing.misses(self._judge(weighed, counted)))

    @staticmethod
    def _judge(weighed: Weighed, gates: Sequence[Gate]) -> list[weighing.Judged]:
        return weighing.judge(gates, weighed.evidence)

    def _promoted(self, counted: Sequence[_Open]) -> list[_Open]:
        """Those that are to be trained whole, of those that are within the limits; the others are behind."""
        if self._share is None:
            return [*counted]
        pairs = [(one, self._bench.short(one.draft.recipe)) for one in counted]
        brief = [(one, recipe) for one, recipe in pairs if recipe is not None]
        files = self._bench.measure([Answered(recipe, one.point.format, alone=True) for one, recipe in brief])
        trained: list[_Open] = []
        for (one, _), weighed in zip(brief, files, strict=True):
            if isinstance(weighed, Refused):
                self._end(_rejected(one.draft, "short", weighed.reason, point=one.point))
            elif weighed is not None:
                trained.append(replace(one, short=weighing.loss(self._gates, weighed[0])))
        return [*(one for one, recipe in pairs if recipe is None), *self._choose(trained)]

    def _choose(self, trained: Sequence[_Open]) -> list[_Open]:
        """Of those that were trained a little at most a third, that which would add most first, and the others.

        Each is held beside those chosen before it as these are likely to come out, and after the first none is chosen
        that would add nothing to them, unless nothing passes yet and it is not likely to either. Of what would add as
        much that comes first which is likely to be least beyond the limit, then which would add more if it lost
        nothing, and then what lost less.
        """
        room, left = math.ceil(len(trained) / (self._share or 1)), self._left(trained)
        passes = any(trial.passes for trial in self.known)
        chosen: list[_Open] = []
        others = [*trained]
        while others and len(chosen) < room:
            beside = [_left_with(one, left) for one in chosen]
            likely = self._added([_left_with(one, left) for one in others], beside)
            best = self._added([_left_with(one, partial(min, 0.0)) for one in others], beside)
            lost = [one.short.share if one.short else 0.0 for one in others]
            ranked = sorted(
                (-round(gain, _DIGITS), max(left(share) - 1, 0.0), -round(hope, _DIGITS), share, place)
                for place, (share, gain, hope) in enumerate(zip(lost, likely, best, strict=True))
            )
            gain, beyond, *_ = ranked[0]
            if chosen and not gain and (passes or not beyond):
                break
            chosen.append(others.pop(ranked[0][-1]))
        for one in others:
            self._end(self._behind(one))
        return chosen

    def _added(self, points: Sequence[Point], beside: Sequence[Point] = ()) -> list[float]:
        """What each point would add to the volume of those that pass, and of those beside it."""
        passing = (trial.point for trial in self.known if trial.passes and trial.point)
        known = [pareto.in_box(point) for point in (*passing, *beside)]
        volume = pareto.hypervolume(known)
        return [pareto.hypervolume([*known, pareto.in_box(point)]) - volume for point in points]

    def _left(self, trained: Sequence[_Open]) -> Callable[[float], float]:
        """What a whole training is likely to leave of what a brief one lost: as much as it left others, in the median,
        by the square root of what these had lost, for what goes deeper loses more at first and comes back further.
        Before any is known, what brings the best of these to no loss.
        """
        pairs = [
            (trial.short, max(trial.point.loss.share, 0.0))
            for trial in self.known
            if trial.rung == "whole" and trial.short and trial.short > 0 and trial.point and trial.point.loss
        ]
        if not pairs:
            least = min((one.short.share for one in trained if one.short), default=0.0)
            return lambda share: share - least

        def left(share: float) -> float:
            if share <= 0:
                return share
            return min(share, statistics.median(whole * math.sqrt(share / short) for short, whole in pairs))

        return left

    @staticmethod
    def _behind(one: _Open) -> Trial:
        lost = one.short and f"lost {one.short.share:.1f} times what {one.short.metric} may lose after a brief training"
        reason = f"{lost}, and others of its batch promise more" if lost else "others of its batch promise more"
        point, short = replace(one.point, loss=one.short), one.short.share if one.short else None
        return _trial(one.draft, "short", reason, point=point, status="behind", short=short)

    def _ended(self, one: _Open, files: Measured) -> Trial | None:
        """What it comes to that was trained whole."""
        if files is None:
            return None
        if isinstance(files, Refused):
            return _rejected(one.draft, "whole", files.reason, point=one.point)
        (weighed,) = files
        missed = weighing.misses(self._known(weighed, self._gates))
        counts = weighing.point(weighed) if weighed.evidence.latency is not None else _again(one.point, weighed)
        point = replace(counts, loss=weighing.loss(self._gates, weighed))
        short = one.short.share if one.short else None
        if missed:
            return _trial(one.draft, "whole", str(missed[0]), missed, point, short=short)
        met = one.goals and not weighing.misses(self._known(weighed, self._goals))
        passes = _trial(one.draft, "whole", _PASSES, point=point, status="passes", short=short)
        return replace(passes, satisfies=bool(self._goals) and met)

    def _known(self, weighed: Weighed, gates: Sequence[Gate]) -> list[weighing.Judged]:
        """The verdicts for which there is evidence: others were told when it was counted."""
        return self._judge(weighed, [gate for gate in gates if weighing.is_known(gate, weighed.evidence)])


def _left_with(one: _Open, left: Callable[[float], float]) -> Point:
    """The point with what a whole training leaves of the loss after a brief one."""
    return replace(one.point, loss=one.short and replace(one.short, share=left(one.short.share)))


def _differs(point: Point, files: Measured) -> bool:
    """Whether a file is another than was counted, as one may be whose steps go by what was learnt."""
    if files is None or isinstance(files, Refused):
        return False
    return abs(known(files[0].evidence.footprint).candidate.bytes / point.size - 1) > _ALIKE


def _again(point: Point, weighed: Weighed) -> Point:
    """The point with the bytes of the trained file: what is coded depends on its weights."""
    footprint = known(weighed.evidence.footprint)
    ours, theirs = footprint.candidate, footprint.baseline
    return replace(point, bytes=ours.download, size=ours.bytes, bytes_share=ours.download / theirs.download)


def _rejected(
    draft: Draft, rung: Rung, reason: str, missed: tuple[Miss, ...] = (), point: Point | None = None
) -> Trial:
    return _trial(draft, rung, reason, missed, point)


def _trial(
    draft: Draft,
    rung: Rung,
    reason: str,
    missed: tuple[Miss, ...] = (),
    point: Point | None = None,
    status: Status = "rejected",
    short: float | None = None,
) -> Trial:
    return Trial(draft.number, draft.values, Step.of(draft.recipe), rung, status, reason, point, missed, short)
