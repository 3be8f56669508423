"""Every role's class by name: the only place that turns a role into an agent."""

from dataclasses import dataclass
from pkgutil import resolve_name

from ..config import Profile
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..runtime.agent import Agent
from ..runtime.context import RoleContext

# Stage of the stop word at which each role stops: sources first, then what they feed.
STOP_STAGES = {
    Role.ACTOR: 1,
    Role.EVALUATOR: 1,
    Role.REANALYZER: 1,
    Role.REPLAY: 2,
    Role.LEARNER: 3,
    Role.INFERENCE: 4,
}
# Roles that are started again when they die; the death of any other ends the run. The learner's ranks are started again
# all together (see Supervisor).
RESTARTED_ROLES = (Role.ACTOR, Role.EVALUATOR, Role.REANALYZER)
# Roles that search, and so own lanes.
SEARCHING_ROLES = (Role.ACTOR, Role.EVALUATOR, Role.REANALYZER)
LAST_STAGE = max(STOP_STAGES.values())
# Imported when an agent of the role is made, so that the supervisor, which only names roles, never loads torch.
_CLASSES = {
    Role.ACTOR: "mzpipe.actor.actor:Actor",
    Role.EVALUATOR: "mzpipe.evaluator.evaluator:Evaluator",
    Role.INFERENCE: "mzpipe.inference.server:InferenceServer",
    Role.LEARNER: "mzpipe.learner.learner:Learner",
    Role.REANALYZER: "mzpipe.reanalyze.reanalyzer:Reanalyzer",
    Role.REPLAY: "mzpipe.replay.server:ReplayServer",
}


def make_agent(context: RoleContext) -> Agent:
    """The agent of one process of the run."""
    agent: Agent = resolve_name(_CLASSES[context.member.role])(context)
    return agent


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

    def of(self, member: Member) -> str:
        """The device of one process: the CPU for a role that never has another."""
        devices = {Role.LEARNER: self.learner, Role.INFERENCE: self.inference}
        return devices[member.role][member.index] if member.role in devices else "cpu"
