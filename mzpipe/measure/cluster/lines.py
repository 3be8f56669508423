"""What `plan --ray` says: what goes where, and what every link carries."""

import dataclasses
import math

from ...config import Profile
from ...errors import PlanError
from ...format import compact, number, percent
from ...ipc.shape import PlaneShape
from .cargo import Cargo, cargo_of
from .forecast import BYTES_PER_MBIT, LINK_IN, LINK_OUT, Cluster, Flow, Forecast, forecast, useful_pods
from .rates import Rates
from .simulation import Outcome, Simulation, Work

# Records and steps that the simulation of a plan goes through, about two seconds of work.
_EVENTS, _MOST_S = 20_000, 3_600.0
_LINKS = (LINK_IN, LINK_OUT)


def link_lines(profile: Profile, shape: PlaneShape, rates: Rates | None) -> list[str]:
    """Lines about the links of a profile's pods; `shape` is the head's. Raises PlanError where a link bounds the run.

    Without measured rates they say what one transition takes, and how many a link carries.
    """
    cluster, cargo = Cluster.of(profile, shape), cargo_of(profile, shape)
    lines = [_cargo_line(cluster, cargo)]
    if rates is None:
        if math.isfinite(cluster.link):
            most = cluster.link / cargo.transition
            lines.append(
                f"link      cluster.link_mbit={profile.cluster.link_mbit:g} carries {number(most)} transitions/s"
            )
        return [*lines, "link      rates are not known: mzpipe profile PROFILE --ceilings --json F, then --measured F"]
    found = forecast(cluster, rates, cargo)
    _refuse_narrow(profile, cluster, rates, cargo, found)
    lines += [
        f"link      each pod sends {_flow(found.pod)}",
        f"link      this machine sends {_flow(found.head)}{_share(cluster, found)}",
        f"link      a weights version every {number(found.version_s)} s{_fan_out(cluster, found)}",
        f"rate      {_bounds(found)}",
        f"rate      from {rates.source}",
    ]
    useful = useful_pods(cluster, rates, cargo)
    if useful == 0:
        lines.append(f"rate      {found.bound} bounds the run without any pod: all of them wait")
    elif useful < cluster.pods:
        lines.append(f"rate      {found.bound} bounds the run from {useful} pods on: the others wait")
    return [*lines, _simulated(simulate(cluster, rates, cargo, profile, found))]


def simulate(cluster: Cluster, rates: Rates, cargo: Cargo, profile: Profile, found: Forecast) -> Outcome:
    """The simulation of a forecast, over a time in which the same number of things happens at any rate."""
    rate = found.env_steps_per_s
    each_s = rate / profile.actor.trajectory_length + rate * cluster.samples_per_insert / cluster.batch_size
    seconds = min(_MOST_S, _EVENTS / each_s)
    return Simulation(Work.of(cluster, rates, cargo, profile)).run(warm_s=seconds, seconds=seconds)


def _refuse_narrow(profile: Profile, cluster: Cluster, rates: Rates, cargo: Cargo, found: Forecast) -> None:
    if found.bound not in _LINKS:
        return
    free = forecast(dataclasses.replace(cluster, link=math.inf), rates, cargo)
    rest, head = free.env_steps_per_s, free.head
    needed = head.received if found.bound == LINK_IN else rest / found.env_steps_per_s * cluster.link
    raise PlanError(
        f"{found.bound}: {number(rest)} env steps/s need {number(needed / BYTES_PER_MBIT)} Mbit/s, cluster.link_mbit="
        f"{profile.cluster.link_mbit:g} carries {percent(found.env_steps_per_s / rest)} of them: lower cluster.pods"
        f"{' or cluster.reanalyzers' if cluster.reanalyzed else ''}, or use a faster network"
    )


def _cargo_line(cluster: Cluster, cargo: Cargo) -> str:
    again = (
        f", a position {compact(cargo.position)}B and its target {compact(cargo.target)}B" if cluster.reanalyzed else ""
    )
    return f"link      a transition takes {compact(cargo.transition)}B{again}, the weights {compact(cargo.weights)}B"


def _flow(flow: Flow) -> str:
    return f"{compact(flow.sent)}B/s and receives {compact(flow.received)}B/s"


def _share(cluster: Cluster, found: Forecast) -> str:
    if math.isinf(cluster.link):
        return "; cluster.link_mbit is not set"
    return (
        f": {percent(found.head.sent / cluster.link)} and {percent(found.head.received / cluster.link)} of "
        f"cluster.link_mbit={cluster.link / BYTES_PER_MBIT:g}"
    )


def _fan_out(cluster: Cluster, found: Forecast) -> str:
    if math.isinf(cluster.link):
        return ""
    skipped = "" if found.fan_out_s <= found.version_s else ": pods skip versions"
    return f", {number(found.fan_out_s)} s until all pods have it{skipped}"


def _bounds(found: Forecast) -> str:
    finite = sorted((rate, name) for name, rate in found.bounds.items() if math.isfinite(rate))
    each = ", ".join(f"{name} {number(rate)}" for rate, name in finite)
    return f"{number(found.env_steps_per_s)} env steps/s, bound by {found.bound} (at most: {each})"


def _simulated(outcome: Outcome) -> str:
    return (
        f"rate      simulated: {number(outcome.env_steps_per_s)} env steps/s, actors wait {percent(outcome.blocked)}, "
        f"weights of pods are {number(outcome.weights_age_s)} s old"
    )
