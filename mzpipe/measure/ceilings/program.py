"""The program that measures one role alone; it writes DIRECTORY/alone-ROLE.json.

Run as `python -m mzpipe.measure.ceilings.program PROFILE DIRECTORY ROLE SECONDS PARENT_PID`.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from ...config import Profile, load_profile
from ...errors import MzpipeError
from ...games import describe_game
from ...ipc.control import LocalPort
from ...ipc.dataplane import DataPlane
from ...ipc.roles import Role
from ...ipc.shape import Member
from ...launch.plan import make_plan
from ...launch.rehearsal import Prepared, describe_model
from ...launch.roles import make_agent
from ...runtime.context import RoleContext, Storage
from ...runtime.devices import LOWER, LOWER_ANY, device_errors
from ...runtime.process import end_process, follow_supervisor
from . import Below, RoleAlone
from .alone import Alone, stand_ins_of

# The inference server and the bare model take turns of this length, so that a drift of the machine affects both alike.
_TURN_S = 0.25


def measure_role(profile: Profile, role: Role, seconds: float, directory: Path) -> dict[str, object]:
    """Measures the first process of a role alone; for the inference server also the layers below the roles."""
    game = describe_game(profile.game)
    prepared = describe_model(profile, game)
    profile, prepared = _for_one_rank(profile, prepared) if role == Role.LEARNER else (profile, prepared)
    plan = make_plan(_unhindered(profile), game, prepared.devices, prepared.model)
    with tempfile.TemporaryDirectory(dir=directory) as name:
        home, member = Path(name), Member(role, 0)
        plane = DataPlane.create(home, plan.shape)
        storage = Storage(home / "checkpoints", home / "journal", home)
        device = prepared.devices.of(member)
        agent = make_agent(RoleContext(plan.profile, plane, member, storage, device, LocalPort()))
        try:
            _publish_weights(plan.profile, plane)
            agent.on_start()
            alone = Alone(agent, plane, member, stand_ins_of(member, plane, plan.profile))
            alone.warm_up()
            below = _turns(alone, plan.profile, plane, prepared, seconds) if role == Role.INFERENCE else None
            if below is None:
                alone.run(seconds)
            return {"alone": dataclasses.asdict(alone.result()), "below": below and dataclasses.asdict(below)}
        finally:
            agent.on_close()


def _turns(alone: Alone, profile: Profile, plane: DataPlane, prepared: Prepared, seconds: float) -> Below:
    from .bare import BareModel, transitions_through_ring

    bare = BareModel(profile, plane, 0, prepared.inference_devices[0])
    bare.run(_TURN_S)
    bare.items, bare.seconds = 0, 0.0
    for _ in range(max(1, round(seconds / _TURN_S))):
        alone.run(_TURN_S)
        bare.run(_TURN_S)
    return Below(bare.items / bare.seconds, transitions_through_ring(plane, 4 * _TURN_S))


def _publish_weights(profile: Profile, plane: DataPlane) -> None:
    """Publishes a first version, which an inference server waits for; it does no harm to other roles."""
    from ...ipc.weights import WeightsPublisher
    from ...nets import FlatWeights, Model

    model = Model(
        profile.network, plane.shape.observation_shape, plane.shape.num_actions, action_size=plane.shape.action_size
    )
    WeightsPublisher(plane.weights()).publish(FlatWeights(model).read(), learner_steps=0, env_steps=0)


def _unhindered(profile: Profile) -> Profile:
    """The profile without batch time-out (all lanes ask at once), journal (it would fill the disk) and last step."""
    return dataclasses.replace(
        profile,
        inference=dataclasses.replace(profile.inference, batch_timeout_us=0),
        replay=dataclasses.replace(profile.replay, journal=False),
        stop=dataclasses.replace(profile.stop, learner_steps=None),
    )


def _for_one_rank(profile: Profile, prepared: Prepared) -> tuple[Profile, Prepared]:
    """The profile for one rank with its part of the batch."""
    learner, ranks = profile.learner, len(prepared.learner_devices)
    learner = dataclasses.replace(learner, devices=learner.devices[:1], batch_size=learner.batch_size // ranks)
    prepared = dataclasses.replace(prepared, learner_devices=prepared.learner_devices[:1])
    return dataclasses.replace(profile, learner=learner), prepared


def read_alone(directory: Path, role: Role) -> tuple[RoleAlone, Below | None]:
    """The results that the program wrote."""
    fields = json.loads(_result(directory, role).read_text())
    alone, below = fields["alone"], fields["below"]
    return RoleAlone.of(alone), None if below is None else Below(**below)


def _result(directory: Path, role: Role) -> Path:
    return directory / f"alone-{role}.json"


def main(profile_path: str, directory: str, role: str, seconds: str, parent_pid: str) -> int:
    """Runs the program; an expected error becomes one line on stderr and its exit code."""
    home, measured = Path(directory), Role(role)
    try:
        follow_supervisor(home, int(parent_pid))
        with device_errors(LOWER.get(measured, LOWER_ANY)):
            result = measure_role(load_profile(profile_path), measured, float(seconds), home)
    except MzpipeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    _result(home, measured).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    end_process(main(*sys.argv[1:]))
