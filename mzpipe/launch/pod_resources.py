"""What Ray reserves for a pod."""

from ..config import Profile
from ..errors import ConfigError
from ..ipc.roles import Role
from .plan import Plan, make_pod_plan, mebibytes
from .pod import as_pod
from .roles import Devices


def pod_plan(plan: Plan) -> Plan:
    """The plan of a pod of the run; on GPUs if it has any."""
    profile = plan.profile
    device = "cuda:0" if profile.cluster.gpus else "cpu"
    devices = Devices(learner=("cpu",), inference=(device,) * len(profile.cluster.devices))
    return make_pod_plan(
        as_pod(profile, profile.seed),
        plan.game,
        devices,
        plan.model,
        reanalyzers=profile.cluster.reanalyzers,
        is_measured=plan.shape.is_measured,
        trace_events=plan.shape.trace_events,
    )


def pod_resources(plan: Plan) -> dict[str, float]:
    """Processors, GPUs and bytes of memory of each pod, by Ray's names; raises ConfigError for devices without GPUs."""
    profile = plan.profile
    _refuse_devices(profile)
    cluster, pod = profile.cluster, pod_plan(plan)
    processes = pod.shape.actors + pod.shape.reanalyzers + pod.shape.inference_servers
    found = {"CPU": cluster.cpus or float(processes), "memory": float(cluster.memory_bytes or pod.memory_bytes())}
    return found | ({"GPU": cluster.gpus} if cluster.gpus else {})


def pod_line(plan: Plan) -> str:
    """What goes where, in words."""
    cluster, pod = plan.profile.cluster, pod_plan(plan)
    shape, found = pod.shape, pod_resources(plan)
    gpus = f", {cluster.gpus:g} GPUs" if cluster.gpus else ""
    return (
        f"pods      {cluster.pods}, each on one node: {_many(shape.inference_servers, 'inference server')}, "
        f"{_many(shape.actors, Role.ACTOR)}, {_many(shape.reanalyzers, Role.REANALYZER)}; "
        f"{found['CPU']:g} processors{gpus}, {mebibytes(round(found['memory']))} of memory, "
        f"of which {mebibytes(pod.segment_bytes())} are /dev/shm"
    )


def _refuse_devices(profile: Profile) -> None:
    named = [device for device in profile.cluster.devices if isinstance(device, int)]
    if named and len(set(named)) > profile.cluster.gpus:
        raise ConfigError(
            f"cluster.devices={list(profile.cluster.devices)}: with --ray a pod sees "
            f"cluster.gpus={profile.cluster.gpus:g} GPUs: raise it to {len(set(named))}"
        )


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
