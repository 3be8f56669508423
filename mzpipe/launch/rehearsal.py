"""Rehearsal: runs the whole pipeline once, tiny, in one process, before anything real starts.

It compiles every kernel with exactly the types of the run, and so fills the cache
that the roles load from. If the pipeline cannot work on a machine, it fails here,
with one process to debug.

Run as a program: `python -m mzpipe.launch.rehearsal PROFILE DIRECTORY PARENT_PID`; writes DIRECTORY/prepared.json.
"""

import dataclasses
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from ..config import ClusterConfig, Profile, StopConfig, TelemetryConfig, load_profile
from ..errors import ExitCode, InputOutputError, MzpipeError
from ..games import GameSpec, describe_game
from ..ipc.dataplane import DataPlane
from ..ipc.messages import CheckpointSaved, Note
from ..ipc.roles import Role
from ..reading import read_file
from ..runtime.context import Storage
from ..runtime.devices import device_errors
from ..runtime.environment import kernel_cache
from ..runtime.process import end_process, follow_supervisor
from .plan import ModelSizes, make_plan, operations
from .roles import Devices
from .serial import SerialPipeline

RESULT_FILE = "prepared.json"
_MAX_LAPS = 10_000


@dataclass(frozen=True)
class Prepared:
    """The facts that only a process with torch can find out."""

    model: ModelSizes
    num_parameters: int
    root_flops: int
    recurrent_flops: int
    learner_devices: tuple[str, ...]
    inference_devices: tuple[str, ...]
    # Why "auto" chose the CPU on a machine that shows a GPU; "" if it did not.
    unusable_gpu: str = ""
    # Bytes of each GPU's memory, by name.
    device_memory: dict[str, int] = field(default_factory=dict)
    # The names that the driver has for them.
    device_uuids: dict[str, str] = field(default_factory=dict)
    # GPUs that torch sees, whether the run uses them or not.
    num_gpus: int = 0

    @property
    def devices(self) -> Devices:
        """The devices of all roles."""
        return Devices(self.learner_devices, self.inference_devices, self.device_memory, self.device_uuids)

    @property
    def lacking_devices(self) -> frozenset[Role]:
        """Roles with a process on every GPU that torch sees; on CPUs there is always room for one more."""
        devices = {Role.LEARNER: self.learner_devices, Role.INFERENCE: self.inference_devices}
        return frozenset(
            role for role, names in devices.items() if "cpu" not in names and self.num_gpus <= len(set(names))
        )

    def lines(self) -> list[str]:
        """Lines for the user: a GPU that is not used, the size of the model, and the cost of an inference."""
        root, recurrent = operations(self.root_flops), operations(self.recurrent_flops)
        model = (
            f"model     {self.num_parameters:,} parameters, {root} per root inference, {recurrent} per recurrent one"
        )
        return [*([f"devices   {self.unusable_gpu}"] if self.unusable_gpu else []), model]


def describe_model(profile: Profile, game: GameSpec) -> Prepared:
    """The sizes of the profile's model, as the learner has it, and its devices; allocates nothing of the model."""
    import torch

    from ..nets import (
        FlatWeights,
        Model,
        device_memory,
        device_uuid,
        learner_devices,
        num_gpus,
        resolve_devices,
        state_fields,
        unusable_gpu,
    )
    from ..nets.cost import inference_flops, output_bytes
    from ..nets.model import sizing_device

    shape = make_plan(profile, game, Devices.assumed(profile), ModelSizes()).shape
    with sizing_device(profile.network):
        sizes = (shape.observation_shape, shape.num_actions)
        model = Model(profile.network, *sizes, action_size=shape.action_size, training_heads=True)
        observation = torch.zeros(1, *shape.observation_shape, dtype=getattr(torch, shape.frame_dtype))
        num_compared = 1 if profile.learner.consistency_steps == "one" else None
        outputs = output_bytes(model, observation, profile.num_unroll_steps, num_compared=num_compared)
        flops = inference_flops(model, observation)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    flat = FlatWeights(model)
    learner, inference = learner_devices(profile.learner.devices), tuple(resolve_devices(profile.inference.devices))
    gpus = sorted({*learner, *inference} - {"cpu"})
    return Prepared(
        model=ModelSizes(
            4 * flat.size,
            4 * num_parameters,
            outputs.hidden_state,
            outputs.root,
            outputs.unroll,
            flat.fields,
            state_fields(model.state_dict()),
        ),
        num_parameters=num_parameters,
        root_flops=flops.root,
        recurrent_flops=flops.recurrent,
        learner_devices=learner,
        inference_devices=inference,
        unusable_gpu=unusable_gpu() if "auto" in (*profile.learner.devices, *profile.inference.devices) else "",
        device_memory={name: device_memory(name) for name in gpus},
        device_uuids={name: uuid for name in gpus if (uuid := device_uuid(name))},
        num_gpus=num_gpus(),
    )


def tiny(profile: Profile) -> Profile:
    """The profile, with all that no kernel's type depends on made small, and all that no rehearsal depends on fixed.

    Rehearsals are remembered by the tiny profile (`launch.prepare`): a change in any field that it keeps leads to a
    new rehearsal.
    """
    replace = dataclasses.replace
    return replace(
        profile,
        seed=0,
        stop=StopConfig(learner_steps=profile.stop.learner_steps and 1),
        telemetry=TelemetryConfig(),
        cluster=ClusterConfig(),
        inference=replace(profile.inference, batch_timeout_us=0),
        search=replace(profile.search, num_simulations=2),
        actor=replace(profile.actor, trajectory_length=4, fast_simulations=min(1, profile.actor.fast_simulations)),
        replay=replace(
            profile.replay,
            capacity_bytes=1 << 24,
            min_size_to_sample=8,
            samples_per_insert=1.0,
            max_insert_lead=64,
            source="",
        ),
        # Code compiled for this batch size serves no other, and if compiling fails the learner continues without it.
        learner=replace(
            profile.learner,
            batch_size=2,
            checkpoint_interval=1,
            publish_interval=1,
            compile=False,
            cuda_graphs=False,
            init_from="",
            init_parts=(),
        ),
        evaluator=replace(profile.evaluator, episodes=1, interval_steps=1, num_simulations=2),
        topology=replace(
            profile.topology,
            actors=1,
            lanes_per_actor=1,
            trees_per_lane=2,
            reanalyzers=1,
            lanes_per_reanalyzer=1,
            trees_per_reanalyzer_lane=2,
            trajectory_ring_slots=2,
            batch_ring_slots=2,
        ),
    )


def rehearse(profile: Profile, game: GameSpec, devices: Devices, model: ModelSizes, directory: Path) -> None:
    """Steps the tiny pipeline until it has trained and saved; raises any error that would break the run."""
    devices = dataclasses.replace(devices, learner=devices.learner[:1])  # ranks are processes, and here there is one
    plan = make_plan(tiny(profile), game, devices, model)
    with tempfile.TemporaryDirectory(dir=directory) as name:
        plane = DataPlane.create(Path(name), plan.shape)
        storage = Storage(Path(name) / "checkpoints", Path(name) / "journal", Path(name))
        pipeline = SerialPipeline(plan.profile, plane, storage, devices)
        try:
            pipeline.start()
            _step_until_saved(pipeline)
        finally:
            pipeline.close()


def _step_until_saved(pipeline: SerialPipeline) -> None:
    said = ""
    for _ in range(_MAX_LAPS):
        pipeline.lap()
        for _, message in pipeline.receive():
            if isinstance(message, CheckpointSaved):
                return
            if isinstance(message, Note):
                said = f": {message.text}"
    raise MzpipeError(f"rehearsal: no training step after {_MAX_LAPS} laps of the tiny pipeline{said}")


_FORMAT = TypeAdapter(Prepared)
_MAX_RESULT_BYTES = 1 << 24


def write_prepared(directory: Path, prepared: Prepared) -> None:
    """Writes a result where the roles of a run read it."""
    (directory / RESULT_FILE).write_bytes(_FORMAT.dump_json(prepared))


def read_prepared(directory: Path) -> Prepared:
    """The result of a rehearsal program that ended well, or a remembered one."""
    return _FORMAT.validate_json(read_file(directory / RESULT_FILE, _MAX_RESULT_BYTES), strict=True)


def _prepare(profile: Profile, directory: Path) -> Prepared:
    game = describe_game(profile.game)
    prepared = describe_model(profile, game)
    rehearse(profile, game, prepared.devices, prepared.model, directory)
    return prepared


def lacking_devices(runtime: Path) -> frozenset[Role]:
    """See Prepared.lacking_devices; none if the runtime directory does not tell."""
    try:
        return read_prepared(runtime).lacking_devices
    except (InputOutputError, ValueError):
        return frozenset()


def main(profile_path: str, directory: str, parent_pid: str) -> int:
    """Runs the program; an expected error is one line on stderr and its exit code."""
    try:
        follow_supervisor(Path(directory), int(parent_pid))
        with device_errors():
            prepared = _prepare(load_profile(profile_path), Path(directory))
    except MzpipeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:  # most likely of the kernel cache, into which Numba writes without saying where
        sys.stderr.write(f"rehearsal: {error}: make room in {kernel_cache()} and in {directory}\n")
        return ExitCode.INPUT_OUTPUT
    write_prepared(Path(directory), prepared)
    return 0


if __name__ == "__main__":
    end_process(main(*sys.argv[1:]))
