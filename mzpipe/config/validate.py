"""Checks that need more than one field of a profile."""

import dataclasses
from collections.abc import Iterator

from ..errors import ConfigError
from .base import chosen as chosen_in
from .base import near
from .profile import NETWORK_KINDS, Profile
from .replay import check_corridor

LOGGERS = ("jsonl", "trackio", "wandb", "mlflow")
# The settings of [network] that only mzpipe's own kinds have.
_BUILT_IN = (
    *("hidden_size", "num_layers", "num_channels", "num_blocks", "downsample", "action_encoding", "action_parts"),
    *("downsample_blocks", "residual_downsample", "head_channels", "head_hidden_size", "head_norm", "dynamics_norm"),
    *("reconstruction", "value_prefix", "value_prefix_horizon", "lstm_size", "chance_codes"),
)


def chosen(profile: Profile, *fields: str) -> Iterator[str]:
    """Returns `section.field=value`, as a profile spells it, for each of these that is not at its default."""
    for field in fields:
        section, _, name = field.partition(".")
        yield from chosen_in(getattr(profile, section), f"{section}.", name)


def check_profile(profile: Profile) -> None:
    """Raises ConfigError that names the fields which contradict each other, and the fix."""
    _check_temperatures(profile)
    _check_playout_caps(profile)
    _check_resignation(profile)
    _check_stop(profile)
    _check_rate_limiter(profile)
    _check_sampler(profile)
    _check_offline(profile)
    _check_value_target(profile)
    _check_devices(profile)
    _check_cluster(profile)
    _check_precision(profile)
    _check_unvisited_q(profile)
    _check_network_kind(profile)
    _check_sampled_actions(profile)
    _check_downsampling(profile)
    _check_dynamics_norm(profile)
    _check_value_prefix(profile)
    _check_self_supervision(profile)
    _check_chance(profile)
    _check_rules(profile)
    _check_augmentation(profile)
    _check_batch_norm(profile)
    _check_loggers(profile)
    _check_init(profile)


def _check_temperatures(profile: Profile) -> None:
    temperatures, fractions = profile.actor.temperatures, profile.actor.temperature_fractions
    if len(temperatures) != len(fractions) or not temperatures:
        raise ConfigError(
            f"actor.temperatures has {len(temperatures)} values and actor.temperature_fractions "
            f"{len(fractions)}: give both the same number, at least one"
        )
    if fractions[0] != 0.0 or list(fractions) != sorted(fractions):
        raise ConfigError(f"actor.temperature_fractions={fractions}: must start at 0.0 and never fall")


def _check_playout_caps(profile: Profile) -> None:
    if profile.actor.fast_simulations:
        return
    for choice in chosen(profile, "actor.full_search_fraction"):
        raise ConfigError(
            f"{choice}: actor.fast_simulations=0 makes every search a full one: leave it out, or set both"
        )


def _check_resignation(profile: Profile) -> None:
    if profile.actor.resign_below is not None:
        return
    for choice in chosen(profile, "actor.resign_moves", "actor.never_resign_fraction"):
        raise ConfigError(f"{choice}: actor.resign_below is not set, so none resigns: leave it out, or set both")


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


def _check_sampler(profile: Profile) -> None:
    """Refuses choices about priorities for a sampler that has none."""
    sampler = profile.replay.sampler
    if sampler == "prioritized":
        return
    for choice in chosen(profile, "replay.initial_priority", "replay.min_importance_weight"):
        raise ConfigError(
            f"{choice}: replay.sampler={sampler!r} has no priorities: leave it out, or set replay.sampler='prioritized'"
        )


def _check_offline(profile: Profile) -> None:
    if profile.replay.source and profile.reanalyze.fraction == 0.0:
        raise ConfigError(
            f"replay.from={profile.replay.source!r}: without actors nothing but reanalyze improves on the stored "
            "searches: set reanalyze.fraction, for example to 1.0"
        )
    if profile.replay.source and profile.stop.learner_steps is None and profile.stop.minutes is None:
        raise ConfigError("replay.from: no game is played, so set stop.learner_steps or stop.minutes to end the run")


def _check_value_target(profile: Profile) -> None:
    """Refuses search values as targets that nothing renews, and sizes for a mixture that is not made."""
    replay = profile.replay
    if replay.value_target == "mixed":
        if profile.reanalyze.fraction == 0.0:
            raise ConfigError(
                "replay.value_target='mixed': reanalyze.fraction=0.0 never searches a position again, so its value "
                "would stay that of the weights that played it: set reanalyze.fraction, for example to 1.0"
            )
        return
    for choice in chosen(profile, "replay.mixed_after_steps", "replay.mixed_newest"):
        raise ConfigError(
            f"{choice}: replay.value_target={replay.value_target!r} mixes nothing: "
            "leave it out, or set replay.value_target='mixed'"
        )


def _check_devices(profile: Profile) -> None:
    named = {
        "learner": profile.learner.devices,
        "inference": profile.inference.devices,
        "cluster": profile.cluster.devices,
    }
    for name, devices in named.items():
        if not devices:
            raise ConfigError(f"{name}.devices=[]: name at least one device, as in {name}.devices=['cpu']")
        for device in devices:
            if device not in ("auto", "cpu") and (isinstance(device, str) or device < 0):
                raise ConfigError(f"{name}.devices: {device!r} is not 'auto', 'cpu' or a CUDA index such as 0")
    ranks = len(profile.learner.devices)
    if ranks > 1 and "auto" in profile.learner.devices:
        raise ConfigError(f"learner.devices={list(profile.learner.devices)}: 'auto' must be alone: name every device")
    if "cpu" in profile.learner.devices and set(profile.learner.devices) != {"cpu"}:
        raise ConfigError(
            f"learner.devices={list(profile.learner.devices)}: ranks on CPUs and ranks on GPUs cannot exchange "
            "gradients: name only 'cpu', or only CUDA indices"
        )
    if profile.learner.batch_size % ranks:
        raise ConfigError(
            f"learner.batch_size={profile.learner.batch_size}: {ranks} ranks (learner.devices) take equal parts: "
            f"make it a multiple of {ranks}"
        )


def _check_cluster(profile: Profile) -> None:
    """Refuses choices about pods for a run that has none, and pods that would have nothing to learn."""
    if profile.cluster.pods == 0:
        fields = (field.name for field in dataclasses.fields(profile.cluster))
        for choice in chosen(profile, *(f"cluster.{name}" for name in fields)):
            raise ConfigError(f"{choice}: cluster.pods=0: leave it out, or set both")
    elif profile.replay.source:
        raise ConfigError(
            f"cluster.pods={profile.cluster.pods}: replay.from={profile.replay.source!r} plays no games: "
            "leave one of them out"
        )


def _check_precision(profile: Profile) -> None:
    if (profile.inference.runtime, profile.inference.precision) == ("onnxruntime", "bfloat16"):
        raise ConfigError(
            "inference.precision='bfloat16': inference.runtime='onnxruntime' has no bfloat16 on CPUs: "
            "set inference.runtime='openvino', or leave one of them out"
        )


def _check_unvisited_q(profile: Profile) -> None:
    """Refuses a rule of pUCT for a search that completes Q by another."""
    if (profile.search.policy, profile.search.unvisited_q) == ("gumbel", "mean"):
        raise ConfigError(
            "search.unvisited_q='mean': search.policy='gumbel' has a rule of its own for unvisited actions, the mixed "
            "value: leave it out, or set search.policy='puct'"
        )


def _check_network_kind(profile: Profile) -> None:
    """Refuses sizes that a user's own network does not take, and arguments for mzpipe's kinds."""
    network = profile.network
    if not network.is_own and network.kind not in NETWORK_KINDS:
        raise ConfigError(
            f"network.kind={network.kind!r}: it is neither 'mlp' nor 'residual', nor a network of your own, as in "
            f"my_net:MyNet{near(network.kind, NETWORK_KINDS)}"
        )
    for choice in chosen(profile, *(f"network.{name}" for name in (_BUILT_IN if network.is_own else ["arguments"]))):
        raise ConfigError(
            f"{choice}: network.kind={network.kind!r} does not take it: leave it out, or "
            + ("give your class an argument in network.arguments" if network.is_own else "name a class of your own")
        )


def _check_sampled_actions(profile: Profile) -> None:
    """Refuses networks that draw no actions, and settings of such a network for games with a list of actions."""
    game, network = profile.game, profile.network
    if not game.gymnasium.sampled_actions:
        fields = ("network.action_head", "network.action_bins", "network.sample_temperature")
        for choice in chosen(profile, *fields, "learner.entropy_loss_weight"):
            raise ConfigError(f"{choice}: no actions are sampled: leave it out, or set game.gymnasium.sampled_actions")
        return
    where = f"game.gymnasium.sampled_actions={game.gymnasium.sampled_actions}"
    if game.gymnasium.action_bins:
        raise ConfigError(
            f"{where}: game.gymnasium.action_bins={game.gymnasium.action_bins} too: leave one of them out"
        )
    if network.is_own:
        raise ConfigError(f"{where}: network.kind={network.kind!r} draws no actions: set 'mlp' or 'residual'")
    others = ("network.value_prefix", "network.chance_codes", "network.action_encoding", "network.action_parts")
    for choice in chosen(profile, *others, "game.action_planes"):
        raise ConfigError(f"{choice}: it does not go together with {where}: leave it out")
    if network.action_head != "bins":
        for choice in chosen(profile, "network.action_bins"):
            raise ConfigError(f"{choice}: network.action_head={network.action_head!r} has no bins: leave it out")


def _check_downsampling(profile: Profile) -> None:
    """Refuses sizes for a down-sampling that the network lacks, and action planes for states without board cells."""
    network = profile.network
    if network.action_encoding == "board" and (network.kind, network.downsample) != ("residual", "none"):
        raise ConfigError(
            f"network.action_encoding='board': network.kind={network.kind!r} with network.downsample="
            f"{network.downsample!r} has no board cells: leave it out, or set kind='residual' and downsample='none'"
        )
    for choice in chosen(profile, "network.downsample", "network.action_encoding", "network.head_norm"):
        if network.kind == "mlp":
            raise ConfigError(
                f"{choice}: network.kind='mlp' has no convolutions: leave it out, or set network.kind='residual'"
            )
    for choice in chosen(profile, "network.action_parts"):
        if network.kind == "residual":
            raise ConfigError(
                f"{choice}: network.kind='residual' has network.action_encoding: leave it out, or set "
                "network.kind='mlp'"
            )
    for choice in chosen(profile, "network.downsample_blocks", "network.residual_downsample", "network.mean_image"):
        for name, value, mend in (("kind", "mlp", "residual"), ("downsample", "none", "atari")):
            if getattr(network, name) == value:
                raise ConfigError(
                    f"{choice}: network.{name}={value!r} has no down-sampling of images: leave it out, or set "
                    f"network.{name}={mend!r}"
                )


def _check_dynamics_norm(profile: Profile) -> None:
    """Refuses the choice for an mlp, which normalises nothing but a value prefix."""
    if profile.network.kind != "mlp" or profile.network.value_prefix:
        return
    for choice in chosen(profile, "network.dynamics_norm"):
        raise ConfigError(f"{choice}: network.kind='mlp' normalises nothing: leave it out")


def _check_value_prefix(profile: Profile) -> None:
    """Refuses sums over more steps than an unroll has: searches would ask for them, but training never shows them."""
    horizon, steps = profile.network.value_prefix_horizon, profile.learner.num_unroll_steps
    if profile.network.value_prefix and horizon > steps:
        raise ConfigError(
            f"network.value_prefix_horizon={horizon}: an unroll has learner.num_unroll_steps={steps} steps, longer "
            f"prefixes are never trained: lower it to {steps}, or raise learner.num_unroll_steps"
        )


def _check_self_supervision(profile: Profile) -> None:
    """Refuses choices about losses that the network does not have, and to decode images."""
    network = profile.network
    for name, choice in (("consistency", "consistency_steps"), ("reconstruction", "reconstruction_loss_weight")):
        for chosen_value in chosen(profile, f"learner.{choice}") if not getattr(network, name) else ():
            raise ConfigError(
                f"{chosen_value}: network.{name}=false has no {name} loss: leave it out, or set network.{name}=true"
            )
    if network.reconstruction and (network.kind, network.downsample) == ("residual", "atari"):
        raise ConfigError(
            "network.reconstruction=true: network.downsample='atari' is for images, which it does not decode: leave it "
            "out (network.consistency is for images), or set network.downsample='none' for a board"
        )


def _check_chance(profile: Profile) -> None:
    """Refuses what trees with chance do not have, and choices about chance for a model without it."""
    if not profile.network.chance_codes:
        for choice in chosen(profile, "learner.commitment_loss_weight"):
            raise ConfigError(
                f"{choice}: network.chance_codes=0 has no encoder: leave it out, or set network.chance_codes"
            )
        return
    if profile.network.value_prefix:
        codes = profile.network.chance_codes
        raise ConfigError(
            f"network.chance_codes={codes}: trees with chance have no network.value_prefix: leave one of them out"
        )


def _check_rules(profile: Profile) -> None:
    """Refuses what a model needs that is learnt, where the search walks the game's own rules."""
    if profile.search.model != "rules":
        return
    network = ("value_prefix", "consistency", "reconstruction", "chance_codes")
    learner = ("num_unroll_steps", "loss_scale")
    fields = (*(f"network.{name}" for name in network), *(f"learner.{name}" for name in learner))
    for choice in chosen(profile, *fields):
        raise ConfigError(f"{choice}: search.model='rules' learns no dynamics and unrolls none: leave one of them out")


def _check_augmentation(profile: Profile) -> None:
    """Refuses to shift what is not down-sampled: a board's cells and a vector's numbers have their places."""
    network = profile.network
    if network.is_own or (network.kind, network.downsample) == ("residual", "atari"):
        return
    for choice in chosen(profile, "learner.augment_shift", "learner.augment_intensity"):
        raise ConfigError(
            f"{choice}: network.kind={network.kind!r} with network.downsample={network.downsample!r} is not for "
            "images: leave it out, or set network.kind='residual' and downsample='atari'"
        )


def _check_batch_norm(profile: Profile) -> None:
    """Refuses a rank with one vector: batch statistics need two."""
    network, least = profile.network, 2 * len(profile.learner.devices)
    for name in ("consistency", "value_prefix", "head_norm", "chance_codes"):
        if getattr(network, name) and profile.learner.batch_size < least:
            raise ConfigError(
                f"learner.batch_size={profile.learner.batch_size}: network.{name} normalises over each rank's part: "
                f"set at least {least}"
            )


def _check_loggers(profile: Profile) -> None:
    loggers = profile.telemetry.loggers
    for name in loggers:
        if name not in LOGGERS and ":" not in name:
            raise ConfigError(
                f"telemetry.loggers: {name!r} is no logger, and your own is named module:Class{near(name, LOGGERS)}"
            )
        if loggers.count(name) > 1:
            raise ConfigError(f"telemetry.loggers={list(loggers)}: {name!r} stands there twice: leave one out")


def _check_init(profile: Profile) -> None:
    """Refuses parts of nothing."""
    if profile.learner.init_from:
        return
    for choice in chosen(profile, "learner.init_parts"):
        raise ConfigError(f"{choice}: learner.init_from names no weights to take them from: leave it out, or set both")
