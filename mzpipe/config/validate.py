"""Checks that need more than one field of a profile."""

from ..errors import ConfigError
from .profile import Profile
from .replay import check_corridor


def check_profile(profile: Profile) -> None:
    """Raises ConfigError naming the fields that contradict each other, and the mend."""
    _check_temperatures(profile)
    _check_stop(profile)
    _check_rate_limiter(profile)
    _check_offline(profile)
    _check_devices(profile)


def _check_temperatures(profile: Profile) -> None:
    temperatures, fractions = profile.actor.temperatures, profile.actor.temperature_fractions
    if len(temperatures) != len(fractions) or not temperatures:
        raise ConfigError(
            f"actor.temperatures has {len(temperatures)} values and actor.temperature_fractions "
            f"{len(fractions)}: give both the same number, at least one"
        )
    if fractions[0] != 0.0 or list(fractions) != sorted(fractions):
        raise ConfigError(f"actor.temperature_fractions={fractions}: must start at 0.0 and never fall")


def _check_stop(profile: Profile) -> None:
    stop = profile.stop
    if all(limit is None for limit in (stop.env_steps, stop.learner_steps, stop.minutes, stop.return_mean)):
        raise ConfigError(
            "stop: no limit is set, the run would never end: "
            "set stop.env_steps, stop.learner_steps, stop.minutes or stop.return_mean"
        )


def _check_rate_limiter(profile: Profile) -> None:
    check_corridor(
        samples_per_insert=profile.replay.samples_per_insert,
        max_insert_lead=profile.replay.max_insert_lead,
        batch_size=profile.learner.batch_size,
        trajectory_length=profile.actor.trajectory_length,
    )


def _check_offline(profile: Profile) -> None:
    if profile.replay.source and profile.reanalyze.fraction == 0.0:
        raise ConfigError(
            f"replay.from={profile.replay.source!r}: without actors nothing but reanalyze improves on the stored "
            "searches: set reanalyze.fraction, 1.0 say"
        )
    if profile.replay.source and profile.stop.learner_steps is None and profile.stop.minutes is None:
        raise ConfigError("replay.from: no game is played, so set stop.learner_steps or stop.minutes to end the run")


def _check_devices(profile: Profile) -> None:
    for name, devices in (("learner", profile.learner.devices), ("inference", profile.inference.devices)):
        if not devices:
            raise ConfigError(f"{name}.devices=[]: name at least one device, as in {name}.devices=['cpu']")
        for device in devices:
            if device not in ("auto", "cpu") and (isinstance(device, str) or device < 0):
                raise ConfigError(f"{name}.devices: {device!r} is not 'auto', 'cpu' or a CUDA index such as 0")
    if len(profile.learner.devices) > 1:
        raise ConfigError(
            f"learner.devices={list(profile.learner.devices)}: this version trains on one device, give one"
        )
