"""Every role by name: the only place that turns a name into an agent.

Modules are imported when a role is made, so whoever only names roles stays
small: the supervisor never loads torch.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ..config import Profile
from ..games import describe_game
from ..ipc.control import ControlPort
from ..ipc.dataplane import DataPlane, Member
from ..planning.settings import signed_search
from ..runtime.agent import Agent

# Stage of the stop word at which each role stops: sources first, then what they feed.
STOP_STAGES = {"actor": 1, "evaluator": 1, "replay": 2, "learner": 3, "inference": 4}
# Roles that are started again when they die; the death of any other ends the run.
RESTARTED_ROLES = ("actor", "evaluator")
LAST_STAGE = max(STOP_STAGES.values())


@dataclass(frozen=True)
class RoleContext:
    """What a role is made from."""

    profile: Profile
    plane: DataPlane
    checkpoints: Path
    devices: "Devices"
    control: ControlPort
    epoch: int = 0


@dataclass(frozen=True)
class Devices:
    """Torch devices of the run, "auto" resolved."""

    learner: str
    inference: tuple[str, ...]


def make_agent(member: Member, context: RoleContext) -> Agent:
    """The agent of one process of the run."""
    return _MAKERS[member.role](member.index, context)


def _actor(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.actor.actor")
    return module.Actor(context.profile, context.plane, index, context.epoch)


def _evaluator(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.evaluator.evaluator")
    return module.Evaluator(context.profile, context.plane, context.epoch, context.checkpoints, context.control)


def _inference(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.inference.server")
    return module.InferenceServer(context.profile, context.plane, index, context.devices.inference[index])


def _learner(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.learner.learner")
    return module.Learner(context.profile, context.plane, context.devices.learner, context.checkpoints, context.control)


def _replay(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.replay.server")
    num_players = describe_game(context.profile.game).num_players
    discount = signed_search(context.profile.search, num_players).discount
    return module.ReplayServer(context.profile, context.plane, discount)


_MAKERS = {
    "actor": _actor,
    "evaluator": _evaluator,
    "inference": _inference,
    "learner": _learner,
    "replay": _replay,
}
