"""The trials of a sweep, in Optuna's storage: which settings come next, how each trial does, and how it ended.

Only this module knows Optuna. A trial that has begun and has not ended belongs to a sweep that was stopped or killed:
it is taken up again. Sampling starts anew at every trial and field, from the sweep's seed and their numbers: a
sweep that was killed asks for the same settings as one that was not.
"""

import contextlib
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputOutputError, UsageError
from ..runs.scores import Evaluation
from .spec import SweepSpec

if TYPE_CHECKING:
    import optuna

# Optuna's names of states, and what a table says.
RUNNING, COMPLETE, PRUNED, FAILED = "running", "complete", "pruned", "failed"
_STATES = {"RUNNING": RUNNING, "COMPLETE": COMPLETE, "PRUNED": PRUNED, "FAIL": FAILED}
_NOTE = "note"
# Optuna's estimate of importance says nothing about fewer trials.
_LEAST_FOR_IMPORTANCE = 4


@dataclass(frozen=True)
class Row:
    """One trial as it stands: `value` is its return so far, None before the first evaluation."""

    number: int
    state: str
    value: float | None
    settings: tuple[str, ...]
    note: str

    @property
    def name(self) -> str:
        """The name of its run directory."""
        return trial_name(self.number)


def without_password(url: str) -> str:
    """A storage's URL for people to see."""
    return re.sub(r"(//[^:/@]*):[^/@]*@", r"\1:***@", url)


def trial_name(number: int) -> str:
    """The name of a trial's run directory."""
    return f"trial-{number:04d}"


class Trial:
    """A trial that has begun."""

    def __init__(self, study: "Study", trial: "optuna.trial.Trial", settings: tuple[str, ...]) -> None:
        self._study, self._trial, self.settings = study, trial, settings
        self.number = trial.number
        self.name = trial_name(trial.number)
        self._reported = set(study.frozen(trial.number).intermediate_values)

    def report(self, curve: Sequence[Evaluation]) -> bool:
        """Tells of every evaluation that has not been told of; returns whether there was one.

        Trials are compared at equal numbers of training steps, counted in intervals of the evaluator.
        """
        before = len(self._reported)
        for place, evaluation in enumerate(curve):
            step = evaluation.learner_steps // self._study.interval_steps
            value = self._study.value_of(curve[: place + 1])
            if step not in self._reported and math.isfinite(value):
                self._reported.add(step)
                self._trial.report(value, step)
        return len(self._reported) > before

    def should_be_pruned(self) -> bool:
        """Whether it does worse than the others did."""
        return bool(self._reported) and self._trial.should_prune()

    def complete(self, curve: Sequence[Evaluation]) -> float:
        """Records the trial's value; raises UsageError for a run without a value."""
        if not curve:
            raise UsageError("the run ended before its first evaluation: raise its [stop] limit")
        value = self._study.value_of(curve)
        if not math.isfinite(value):
            raise UsageError(f"its return is {value}")
        self._study.tell(self._trial, value)
        return value

    def prune(self) -> None:
        """Records that it was ended early."""
        self._study.tell(self._trial, None, PRUNED)

    def fail(self, note: str) -> None:
        """Records that it failed, and why in one line."""
        self._trial.set_user_attr(_NOTE, note)
        self._study.tell(self._trial, None, FAILED)


class Study:
    """All trials of a sweep."""

    def __init__(self, spec: SweepSpec, url: str, name: str, interval_steps: int = 1) -> None:
        """Opens the storage, and makes the study if it is new; raises InputOutputError or UsageError.

        `interval_steps` are the training steps between two evaluations.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._spec, self._url, self.interval_steps = optuna, spec, url, interval_steps
        with self.storage_errors():
            try:
                storage = optuna.storages.RDBStorage(url)
            except ImportError as error:
                raise UsageError(f"storage={without_password(url)!r}: {error}: install it, or leave it out") from None
            self._study = optuna.create_study(
                storage=storage, study_name=name, load_if_exists=True, direction="maximize", pruner=self._pruner()
            )

    @contextlib.contextmanager
    def storage_errors(self) -> Iterator[None]:
        """Makes an error of the storage one line."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, self._optuna.exceptions.StorageInternalError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise InputOutputError(f"the trials' storage {without_password(self._url)}: {reason}") from None

    def unfinished(self) -> list[Trial]:
        """The trials that a sweep before this one began and did not end."""
        trials = self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.RUNNING,))
        return [self._asked(self._optuna.trial.Trial(self._study, each._trial_id)) for each in trials]

    def next(self) -> Trial | None:
        """A new trial; None if all have begun."""
        number = self.num_begun
        if number >= self._spec.num_trials:
            return None
        if self._spec.is_grid and len(self._study.get_trials(deepcopy=False)) == number:  # else a kill left it waiting
            self._study.enqueue_trial(self._spec.cell(number))
        return self._asked(self._study.ask())

    def rows(self) -> list[Row]:
        """Every trial that has begun, in order."""
        return [self._row(each) for each in self._study.get_trials(deepcopy=False) if each.state.name in _STATES]

    @property
    def num_begun(self) -> int:
        """The number of trials that have begun."""
        return sum(each.state.name in _STATES for each in self._study.get_trials(deepcopy=False))

    def importances(self) -> dict[str, float]:
        """How much each field of a space mattered, most first, as parts of 1; empty if the trials do not tell."""
        complete = [each for each in self.rows() if each.state == COMPLETE]
        if self._spec.is_grid or len(complete) < _LEAST_FOR_IMPORTANCE or len({each.value for each in complete}) == 1:
            return {}
        evaluator = self._optuna.importance.PedAnovaImportanceEvaluator()
        return dict(self._optuna.importance.get_param_importances(self._study, evaluator=evaluator))

    def value_of(self, curve: Sequence[Evaluation]) -> float:
        """The value of a curve: its best mean return, or its last."""
        returns = [each.return_mean for each in curve]
        return returns[-1] if self._spec.config.objective == "last" else max(returns)

    def frozen(self, number: int) -> "optuna.trial.FrozenTrial":
        """A trial as the storage has it."""
        return self._study.get_trials(deepcopy=False)[number]

    def tell(self, trial: "optuna.trial.Trial", value: float | None, state: str = COMPLETE) -> None:
        """Records how a trial ended."""
        name = next(name for name, word in _STATES.items() if word == state)
        self._study.tell(trial, value, state=self._optuna.trial.TrialState[name])

    def _asked(self, trial: "optuna.trial.Trial") -> Trial:
        """The trial with all its settings: one that a kill cut short gets the rest of them."""
        settings = []
        for place, parameter in enumerate(self._spec.parameters):
            self._study.sampler = self._sampler(trial.number, place)
            settings.append(f"{parameter.name}={parameter.suggest(trial)}")
        return Trial(self, trial, tuple(settings))

    def _sampler(self, number: int, place: int) -> "optuna.samplers.BaseSampler":
        config = self._spec.config
        seed = int(np.random.SeedSequence((config.seed, number, place)).generate_state(1)[0])
        if config.sampler == "random" or self._spec.is_grid:
            return self._optuna.samplers.RandomSampler(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            return self._optuna.samplers.TPESampler(
                n_startup_trials=config.startup_trials, constant_liar=True, seed=seed
            )

    def _pruner(self) -> "optuna.pruners.BasePruner":
        config = self._spec.config
        if config.pruner == "none" or self._spec.is_grid:
            return self._optuna.pruners.NopPruner()
        return self._optuna.pruners.MedianPruner(n_startup_trials=config.startup_trials)

    def _row(self, trial: "optuna.trial.FrozenTrial") -> Row:
        curve = trial.intermediate_values
        value = trial.value if trial.state.name == "COMPLETE" else curve[max(curve)] if curve else None
        known = [each for each in self._spec.parameters if each.name in trial.params]
        settings = tuple(f"{each.name}={each.text(trial.params[each.name])}" for each in known)
        return Row(trial.number, _STATES[trial.state.name], value, settings, str(trial.user_attrs.get(_NOTE, "")))
