"""Checks of a network, its own code's promises first: `mzpipe check-network`."""

from collections.abc import Callable, Iterator
from functools import partial

from ...config import Profile
from ...errors import MzpipeError, OwnCodeError
from ...nets import model_of
from ...nets.own import asked_of_own
from ...runs.checkpoint import LATEST, CheckpointStore
from ...runs.directory import RunDirectory
from ..check import Check
from .engines import ENGINES, Remark
from .looks import LOOKS
from .speed import SPEEDS
from .trial import Trial


def check_network(profile: Profile, run: RunDirectory | None = None) -> Iterator[Check]:
    """Makes the profile's network and yields the checks; of a run, whether its latest checkpoint fits the code too.

    If the model itself fails, the checks of what runs it, and of its speed, are left out.
    """
    try:
        trial = Trial(profile)
    except MzpipeError as error:
        yield Check("network", False, str(error))
        return
    yield Check("network", None, f"{profile.network.kind} for {trial.game.description}")
    looked = []
    for name, look in LOOKS.items():
        looked.append(_looked(profile, name, partial(look, trial)))
        yield looked[-1]
        if not looked[0].passed:
            return
    if run is not None and CheckpointStore(run.checkpoints).has(LATEST):
        yield _looked(profile, "checkpoint", partial(_fits, trial, run))
    if all(check.passed for check in looked):
        for name, look in {**ENGINES, **SPEEDS}.items():
            yield _looked(profile, name, partial(look, trial))


def _looked(profile: Profile, name: str, look: Callable[[], str]) -> Check:
    try:
        told = asked_of_own(profile.network.kind, f"under {name!r} it", look)
    except OwnCodeError as error:
        return Check(name, False, str(error).removeprefix(f"{profile.network.kind}: "))
    except MzpipeError as error:
        return Check(name, False, str(error))
    return Check(name, None if isinstance(told, Remark) else True, told)


def _fits(trial: Trial, run: RunDirectory) -> str:
    name, checkpoint = CheckpointStore(run.checkpoints).load_chosen(LATEST)
    game = trial.game
    model_of(checkpoint, trial.profile.network, game.observation_shape, game.num_actions, game.action_size)
    return f"{name} has the tensors of this code"


__all__ = ["check_network"]
