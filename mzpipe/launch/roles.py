"""Every role by name: the only place that turns a name into an agent.

Modules are imported when a role is made, so whoever only names roles stays
small: the supervisor never loads torch.
"""

from dataclasses import dataclass
from importlib import import_module

from ..config import Profile, SearchConfig
from ..games import describe_game
from ..ipc.control import ControlPort
from ..ipc.dataplane import DataPlane
from ..ipc.shape import Member
from ..planning import signed_search
from ..runs.directory import Storage
from ..runtime.agent import Agent

# Stage of the stop word at which each role stops: sources first, then what they feed.
STOP_STAGES = {"actor": 1, "evaluator": 1, "reanalyzer": 1, "replay": 2, "learner": 3, "inference": 4}
# Roles that are started again when they die; the death of any other ends the run. The learner's ranks are started again
# all together (see Supervisor).
RESTARTED_ROLES = ("actor", "evaluator", "reanalyzer")
# Roles that search, and so own lanes.
SEARCHING_ROLES = ("actor", "evaluator", "reanalyzer")
LAST_STAGE = max(STOP_STAGES.values())


@dataclass(frozen=True)
class RoleContext:
    """What a role is made from."""

    profile: Profile
    plane: DataPlane
    storage: "Storage"
    devices: "Devices"
    control: ControlPort
    epoch: int = 0


@dataclass(frozen=True)
class Devices:
    """Torch devices of the run, "auto" resolved."""

    # One of each learner rank.
    learner: tuple[str, ...]
    inference: tuple[str, ...]

    @classmethod
    def assumed(cls, profile: Profile) -> "Devices":
        """CPUs in their places, until a process with torch has looked what there is."""
        return cls(("cpu",) * len(profile.learner.devices), ("cpu",))


def make_agent(member: Member, context: RoleContext) -> Agent:
    """The agent of one process of the run."""
    return _MAKERS[member.role](member.index, context)


def _actor(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.actor.actor")
    return module.Actor(context.profile, context.plane, index, context.epoch)


def _evaluator(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.evaluator.evaluator")
    return module.Evaluator(context.profile, context.plane, context.epoch, context.storage.checkpoints, context.control)


def _inference(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.inference.server")
    return module.InferenceServer(context.profile, context.plane, index, context.devices.inference[index])


def _learner(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.learner.learner")
    return module.Learner(
        context.profile,
        context.plane,
        index,
        context.epoch,
        context.devices.learner[index],
        context.storage.checkpoints,
        context.storage.logs,
        context.control,
    )


def _reanalyzer(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.reanalyze.reanalyzer")
    return module.Reanalyzer(context.profile, context.plane, index, context.epoch, _signed_search(context.profile))


def _replay(index: int, context: RoleContext) -> Agent:
    module = import_module("mzpipe.replay.server")
    discount = _signed_search(context.profile).discount
    return module.ReplayServer(context.profile, context.plane, discount, context.storage.journal, context.control)


def _signed_search(profile: Profile) -> SearchConfig:
    return signed_search(profile.search, describe_game(profile.game).num_players)


_MAKERS = {
    "actor": _actor,
    "evaluator": _evaluator,
    "inference": _inference,
    "learner": _learner,
    "reanalyzer": _reanalyzer,
    "replay": _replay,
}
