"""Which recipe to try next: Optuna, asked and told (Akiba et al. 2019); what is told is kept in a journal on disk.

TPE takes several objectives as Ozaki et al. 2020 have it, NSGA-II is Deb et al. 2002; gates are its constraints.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.search import pareto
from edgebuild.search.bench import Draft
from edgebuild.search.trial import Trial
from edgebuild.spec import documents
from edgebuild.spec.enumeration import every
from edgebuild.spec.space import Choices, Domain, Range, Space, begins, text

if TYPE_CHECKING:
    import optuna

_TRIAL = "trial"  # a told trial has itself as an attribute
_GATES = "gates"  # the one constraint: the worst excess
_STARTUP = (4, 12)  # trials at random before the sampler learns
_STARTUP_SHARE = 0.08  # of the recipes that there are
_POPULATION = 16
_MOST = 20_000  # recipes of a space that are counted
_AGAIN = 4  # recipes drawn in a row that are known, after which what is nearest to them and is not is taken
_NEVER = 200  # where all recipes cannot be gone through
_UNKNOWN = 2.0  # of the float model's time and bytes: where nothing is known of them
_WORST = 10.0  # of the limit: where nothing is known of answers, and the most that is told


class Study:
    """Proposes recipes of a space, and remembers those of earlier runs under the same `name`."""

    def __init__(self, journal: Path, name: str, space: Space, seed: int = 0) -> None:
        """Open the journal, or begin it. What an earlier run had proposed and not ended comes first again."""
        self._space, recipes = space, every(space, _MOST)
        with _quiet() as optuna:
            from optuna.storages import JournalStorage
            from optuna.storages.journal import JournalFileBackend

            self._optuna, directions = optuna, ["minimize"] * 3
            storage = JournalStorage(JournalFileBackend(str(journal)))
            self._study = optuna.create_study(
                storage=storage, study_name=name, directions=directions, load_if_exists=True,
                sampler=_sampler(space, len(recipes) if recipes is not None else _MOST, seed),
            )  # fmt: skip
            self._asked: dict[int, tuple[str, Any]] = {}  # what is not told yet: the recipe, and Optuna's trial
            if not self._study.trials:
                for start in space.starts:
                    self._study.enqueue_trial(self._as_told(start))
            self._resume()
        self.trials = [self._read(each) for each in self._study.trials if _TRIAL in each.user_attrs]
        self._next = 1 + max((trial.number for trial in self.trials), default=-1)  # those drawn again have none
        self._known = {text(self._recipe_of(trial.values)): trial for trial in self.trials}
        self._all = None if recipes is None else {text(self._recipe_of(values)): values for values in recipes}
        self._refused = {beginning for trial in self.trials for beginning in self._refusal(trial)}

    @property
    def size(self) -> int | None:
        """How many recipes the space has; None where these are too many to tell."""
        return len(self._all) if self._all is not None else None

    def propose(self, count: int) -> list[Draft]:
        """Up to so many recipes that were not proposed yet, each another, and none that begins as one whose step
        refused what came to it; fewer where the space has no more.
        """
        drafts: list[Draft] = []
        again, values = 0, None
        while len(drafts) < count and again < _NEVER:
            draft = self._draft(values)
            if self._is_open(text(draft.recipe), but=draft.number):
                drafts.append(draft)
                again, values = 0, None
                continue
            self._forget(draft)
            again += 1
            if again >= _AGAIN and self._all is not None:
                values = self._nearest(draft.values)
                if values is None:
                    break
        return drafts

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember what became of recipes."""
        with _quiet():
            for trial in trials:
                _, optuna_trial = self._asked.pop(trial.number)
                self._tell(optuna_trial, trial)
        self.trials += trials
        self._known |= {text(self._recipe_of(trial.values)): trial for trial in trials}
        self._refused |= {beginning for trial in trials for beginning in self._refusal(trial)}

    def _is_open(self, recipe: str, but: int | None = None) -> bool:
        """Whether a recipe, as `text` writes it, was neither tried, nor proposed `but` under this number, nor begins as
        one that was refused.
        """
        waits = any(each == recipe for number, (each, _) in self._asked.items() if number != but)
        return not waits and recipe not in self._known and not any(begins(recipe, each) for each in self._refused)

    def _refusal(self, trial: Trial) -> Iterator[str]:
        """How every recipe begins that is refused as this one was; nothing where it was not."""
        if trial.refused_at is not None:
            recipe = self._recipe_of(trial.values)
            yield text(replace(recipe, steps=recipe.steps[: trial.refused_at + 1]))

    def _draft(self, values: Mapping[str, Any] | None) -> Draft:
        """The next recipe, or the one with these values."""
        with _quiet():
            if values is not None:
                self._study.enqueue_trial(self._as_told(values))
            optuna_trial = self._study.ask()
            drawn: dict[str, Any] = {}

            def draw(name: str, domain: Domain) -> Any:
                drawn[name] = _suggested(optuna_trial, name, domain)
                return drawn[name]

            recipe = self._space.recipe(draw)
        self._asked[self._next] = text(recipe), optuna_trial
        self._next += 1
        return Draft(self._next - 1, drawn, recipe)

    def _nearest(self, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The values of the open recipe which differs least from these; None where there is none."""
        dimensions = self._space.dimensions()
        open_ = [each for name, each in (self._all or {}).items() if self._is_open(name)]
        return min(open_, key=lambda each: _distance(each, values, dimensions), default=None)

    def _recipe_of(self, values: Mapping[str, Any]) -> Any:
        return self._space.recipe(lambda name, domain: values[name])

    def _forget(self, draft: Draft) -> None:
        """Leave out a recipe that was proposed before: nothing new is known of it."""
        _, optuna_trial = self._asked.pop(draft.number)
        self._next = draft.number
        with _quiet() as optuna:
            self._study.tell(optuna_trial, state=optuna.trial.TrialState.FAIL)

    def _tell(self, optuna_trial: Any, trial: Trial) -> None:
        optuna_trial.set_user_attr(_TRIAL, json.dumps(documents.to_json(trial)))
        optuna_trial.set_constraint(_GATES, _constraint(trial))
        self._study.tell(optuna_trial, _objectives(trial))

    def _resume(self) -> None:
        """Put what was begun and not ended in front again."""
        state = self._optuna.trial.TrialState
        for each in self._study.get_trials(states=(state.RUNNING,)):
            self._study.enqueue_trial(each.params)
            self._study.tell(each.number, state=state.FAIL)

    def _as_told(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as Optuna keeps them: numbers of ranges as they are, choices as text."""
        known = self._space.dimensions()
        return {name: _text(value) if isinstance(known[name], Choices) else value for name, value in values.items()}

    @staticmethod
    def _read(frozen: optuna.trial.FrozenTrial) -> Trial:
        return documents.from_json(Trial, json.loads(frozen.user_attrs[_TRIAL]), file="journal.log")


def _sampler(space: Space, size: int, seed: int) -> optuna.samplers.BaseSampler:
    from optuna.samplers import NSGAIISampler, TPESampler

    if space.sampler == "nsga2":
        return NSGAIISampler(population_size=_POPULATION, seed=seed)
    least, most = _STARTUP
    startup = max(least, min(most, round(_STARTUP_SHARE * size)))
    return TPESampler(n_startup_trials=startup, multivariate=True, group=True, constant_liar=True, seed=seed)


def _constraint(trial: Trial) -> float:
    return min(trial.excess, _WORST)


def _objectives(trial: Trial) -> list[float]:
    """Time, bytes and loss as the sampler is told of them; what is not known is as bad as can be."""
    if trial.point is None:
        return [_UNKNOWN, _UNKNOWN, _WORST]
    time, size, _ = pareto.objectives(trial.point)
    return [time, size, min(trial.point.loss.share, _WORST) if trial.point.loss else _WORST]


def _suggested(optuna_trial: Any, name: str, domain: Domain) -> Any:
    if isinstance(domain, Choices):
        texts = [_text(value) for value in domain.values]
        return domain.values[texts.index(optuna_trial.suggest_categorical(name, texts))]
    if domain.whole:
        step = 1 if domain.step is None else round(domain.step)
        return optuna_trial.suggest_int(name, round(domain.low), round(domain.high), step=step, log=domain.log)
    values = domain.every()
    drawn = optuna_trial.suggest_float(
        name, domain.low, values[-1] if values else domain.high, step=domain.step, log=domain.log
    )
    return domain.value(drawn)


def _distance(one: Mapping[str, Any], other: Mapping[str, Any], dimensions: Mapping[str, Domain]) -> float:
    """In how many dimensions two recipes differ; in a range as far as they do."""
    distance = 0.0
    for name in {*one, *other}:
        domain, a, b = dimensions[name], one.get(name), other.get(name)
        if isinstance(domain, Range) and a is not None and b is not None:
            distance += abs(a - b) / (domain.high - domain.low)
        else:
            distance += a != b
    return distance


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@contextmanager
def _quiet() -> Iterator[Any]:
    """Optuna, without what it says to whoever runs a study of his own."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield optuna
