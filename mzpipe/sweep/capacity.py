"""How many of a sweep's runs this machine holds at a time."""

import os
from collections.abc import Callable, Sequence

from ..config import Profile
from ..errors import PlanError, UsageError
from ..games import describe_game
from ..launch.plan import ModelSizes, Plan, free_shared_bytes, make_plan, num_threads
from ..launch.prepare import find_memory
from ..launch.rehearsal import describe_model
from ..launch.roles import Devices
from ..runtime.memory import available_memory_bytes
from ..telemetry.gpus import free_memory
from .spec import SweepSpec

Load = Callable[[Sequence[str]], Profile]


def auto_jobs(spec: SweepSpec, load: Load) -> int:
    """The number of runs that find a core for each of their busy threads, and memory; at least 1."""
    jobs = min(spec.num_trials, len(os.sched_getaffinity(0)) // cores_of_a_run(_bare_plan(load(()))))
    return max(1, min(jobs, room(largest_plan(spec, load)))) if jobs > 1 else 1


def refuse_crowd(jobs: int, spec: SweepSpec, load: Load) -> None:
    """Raises PlanError if memory does not hold this many runs at a time."""
    if jobs > 1 and jobs > (most := room(largest_plan(spec, load))):
        raise PlanError(f"--jobs {jobs}: memory, /dev/shm and GPUs hold {most} of these runs at a time: lower it")


def cores_of_a_run(plan: Plan) -> int:
    """The threads that a run keeps busy on this machine's cores."""
    return sum(num_threads(plan.profile, member.role) for member in plan.shape.members())


def room(plan: Plan) -> int:
    """How many such runs memory, shared memory and every GPU hold at a time."""
    places = [available_memory_bytes() // plan.memory_bytes(), free_shared_bytes() // plan.segment_bytes()]
    free = free_memory(plan.devices.uuids)
    for device, roles in plan.device_bytes().items():
        if device in free:
            places.append(free[device] // sum(roles.values()))
    return min(places)


def largest_plan(spec: SweepSpec, load: Load) -> Plan:
    """The plan with each field where it alone takes most memory; without what the profile's rules refuse together."""
    words: list[str] = []
    for parameter in spec.parameters:
        sizes = {}
        for value in parameter.bounds():
            word = f"{parameter.name}={value}"
            try:
                sizes[word] = _plan(load([*words, word])).memory_bytes()
            except UsageError:
                continue
        if sizes:
            words.append(max(sizes, key=lambda word: sizes[word]))
    return _plan(load(words))


def _plan(profile: Profile) -> Plan:
    game = describe_game(profile.game)
    memory = find_memory(profile, game)
    prepared = (memory.recall() if memory is not None else None) or describe_model(profile, game)
    return make_plan(profile, game, prepared.devices, prepared.model)


def _bare_plan(profile: Profile) -> Plan:
    """The plan without the sizes of the model, for which torch would be needed."""
    return make_plan(profile, describe_game(profile.game), Devices.assumed(profile), ModelSizes())
