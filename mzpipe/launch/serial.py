"""`--serial`: steps the same agents round-robin in one process.

Breakpoints work. With one actor a run repeats bit for bit, because no agent looks
at a clock when inference.batch_timeout_us is 0, and every random stream comes
from the seed.
"""

import dataclasses
from collections.abc import Collection

from ..config import Profile
from ..ipc.control import LocalPort
from ..ipc.dataplane import DataPlane
from ..ipc.messages import Message
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..runtime.agent import Agent, deliver
from ..runtime.context import RoleContext, Storage
from .roles import Devices, make_agent


class SerialPipeline:
    """All agents of a run in this process."""

    def __init__(
        self,
        profile: Profile,
        plane: DataPlane,
        storage: Storage,
        devices: Devices,
        *,
        roles: Collection[Role] = tuple(Role),
    ) -> None:
        self._members = [member for member in plane.shape.members() if member.role in roles]
        self._ports = {member: LocalPort() for member in self._members}
        profile = dataclasses.replace(profile, inference=dataclasses.replace(profile.inference, batch_timeout_us=0))
        self.agents: dict[Member, Agent] = {
            member: make_agent(RoleContext(profile, plane, member, storage, devices.of(member), port))
            for member, port in self._ports.items()
        }
        self._counters = {member: plane.counters(member) for member in self._members}
        self._clocks = {member: plane.stage_clock(member) for member in self._members}
        self._started: list[Agent] = []

    def start(self) -> None:
        """Starts every agent, in the order in which its process would be started."""
        for member, agent in self.agents.items():
            self._started.append(agent)
            agent.on_start()
            self._counters[member].set("ready", 1)

    def lap(self) -> int:
        """Runs one lap of every agent; returns the work done."""
        return sum(self._lap(member) for member in self._members)

    def _lap(self, member: Member) -> int:
        agent, clock = self.agents[member], self._clocks[member]
        clock.start()  # the other agents' laps are not its own
        work_count = agent.do_work()
        clock.lap(work_count)
        self._counters[member].lap(work_count)
        return work_count + deliver(agent, self._ports[member])

    def send(self, member: Member, message: Message) -> None:
        """Hands a message to one agent; it is delivered in the next lap."""
        self._ports[member].to_role.append(message)

    def receive(self) -> list[tuple[Member, Message]]:
        """The messages that the agents have sent since the last call."""
        messages: list[tuple[Member, Message]] = []
        for member, port in self._ports.items():
            messages += [(member, message) for message in port.to_supervisor]
            port.to_supervisor.clear()
        return messages

    def drain(self) -> None:
        """Has every agent hand over what it still holds; no lap may follow."""
        while [agent for agent in self._started if not agent.drain()]:
            continue

    def close(self) -> None:
        """Closes every started agent, last started first."""
        while self._started:
            self._started.pop().on_close()
