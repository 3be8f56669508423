"""The class of every role, by name: the only place that turns a role into an agent."""

from dataclasses import dataclass, field
from pkgutil import resolve_name

from ..config import Profile
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..runtime.agent import Agent
from ..runtime.context import RoleContext

# The stage of the stop word at which each role stops: sources first, then the roles that they feed.
STOP_STAGES = {
    Role.ACTOR: 1,
    Role.EVALUATOR: 1,
    Role.REANALYZER: 1,
    Role.GATEWAY: 1,
    Role.REPLAY: 2,
    Role.LEARNER: 3,
    Role.INFERENCE: 4,
    Role.UPLINK: 4,
}
# Roles that search, and so own lanes.
SEARCHING_ROLES = (Role.ACTOR, Role.EVALUATOR, Role.REANALYZER)
LAST_STAGE = max(STOP_STAGES.values())
# A class is imported when an agent of its role is made, so the supervisor, which only names roles, never loads torch.
_CLASSES = {
    Role.ACTOR: "mzpipe.actor.actor:Actor",
    Role.EVALUATOR: "mzpipe.evaluator.evaluator:Evaluator",
    Role.GATEWAY: "mzpipe.cluster.gateway:Gateway",
    Role.INFERENCE: "mzpipe.inference.server:InferenceServer",
    Role.LEARNER: "mzpipe.learner.learner:Learner",
    Role.REANALYZER: "mzpipe.reanalyze.reanalyzer:Reanalyzer",
    Role.REPLAY: "mzpipe.replay.server:ReplayServer",
    Role.UPLINK: "mzpipe.cluster.uplink:Uplink",
}


def make_agent(context: RoleContext) -> Agent:
    """The agent of one process of the run."""
    agent: Agent = resolve_name(_CLASSES[context.member.role])(context)
    return agent


@dataclass(frozen=True)
class Devices:
    """The torch devices of the run, with "auto" resolved."""

    # One for each learner rank.
    learner: tuple[str, ...]
    inference: tuple[str, ...]
    # Bytes of each GPU's memory, by name.
    memory: dict[str, int] = field(default_factory=dict)
    # The names that the driver has for the GPUs, by name.
    uuids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def assumed(cls, profile: Profile) -> "Devices":
        """CPUs as placeholders, until a process with torch has found the real devices."""
        return cls(("cpu",) * len(profile.learner.devices), ("cpu",))

    def of(self, member: Member) -> str:
        """The device of one process; the CPU for a role that never has another."""
        devices = {Role.LEARNER: self.learner, Role.INFERENCE: self.inference}
        return devices[member.role][member.index] if member.role in devices else "cpu"
