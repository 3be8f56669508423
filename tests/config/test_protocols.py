"""Protocols in a profile: they set their fields, and a field that contradicts them is refused in one line."""

import dataclasses

import pytest

from mzpipe.config import (
    GREEDY,
    PROTOCOLS,
    AtariConfig,
    GameConfig,
    find_protocol,
    load_profile,
    parse_profile,
    score_protocol,
    under_protocol,
)
from mzpipe.errors import ConfigError
from mzpipe.runs.directory import save_profile

STOP = "stop.env_steps=1"
# ALGORITHM of the papers: skip, sticky, no-ops, frames of an episode and in training, clipping, life loss, 18 actions.
SAID = {
    "atari100k": (4, 0.0, 30, 108_000, 12_000, True, True, False),
    "muzero": (4, 0.0, 30, 108_000, 108_000, False, False, False),
    "machado": (4, 0.25, 0, 108_000, 108_000, False, False, True),
}
FIELDS = (
    "frame_skip",
    "sticky_actions",
    "noop_max",
    "max_episode_frames",
    "max_training_frames",
    "clip_rewards",
    "life_loss_terminates",
    "full_action_space",
)


@pytest.mark.parametrize("name", SAID)
def test_protocol_sets_the_emulator_and_leaves_the_rest(name):
    atari = parse_profile("", [STOP, "game.name=Pong", f"game.protocol={name}", "game.atari.image_size=96"]).game.atari
    assert tuple(getattr(atari, field) for field in FIELDS) == SAID[name]
    assert atari.image_size == 96 and atari.max_pool


def test_protocols_are_those_of_the_papers():
    assert PROTOCOLS.keys() == SAID.keys()
    assert (PROTOCOLS["atari100k"].episodes, PROTOCOLS["atari100k"].seeds) == (32, 3)


def test_settings_are_fields_of_the_atari_section():
    for protocol in PROTOCOLS.values():
        assert set(protocol.settings()) <= {field.name for field in dataclasses.fields(AtariConfig)}


def test_protocol_leaves_the_action_set_to_the_profile_where_its_paper_does():
    profile = parse_profile("", [STOP, "game.name=Pong", "game.protocol=muzero", "game.atari.full_action_space=true"])
    assert profile.game.atari.full_action_space


def test_a_field_that_says_what_the_protocol_says_is_taken():
    text = "[game]\nname = 'Pong'\nprotocol = 'machado'\n[game.atari]\nnoop_max = 0\nsticky_actions = 0.25\n"
    assert parse_profile(text, [STOP]).game.atari.sticky_actions == 0.25


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("game.protocol=atari10k", r"game.protocol='atari10k': unknown protocol; did you mean atari100k\?"),
        ("game.protocol=machdo", r"game.protocol='machdo': unknown protocol; did you mean machado\?"),
        ("game.protocol=qqq", "unknown protocol; known here: atari100k, muzero, machado"),
        ("game.protocol=3", "game.protocol=3: input should be a valid string"),
        ("game.atari.noop_max=3", "game.atari.noop_max=3: game.protocol='muzero' has 30: leave the field out, or"),
        ("game.atari.sticky_actions=0.25", "game.atari.sticky_actions=0.25: game.protocol='muzero' has 0.0: leave"),
        ("game.atari.clip_rewards=true", "game.atari.clip_rewards=True: game.protocol='muzero' has False: leave"),
        ("game.max_episode_moves=9", "game.max_episode_moves=9: game.protocol='muzero' caps episodes by emulator"),
    ],
)
def test_load_refuses_what_contradicts_the_protocol_in_one_line(override, text):
    with pytest.raises(ConfigError, match=text) as caught:
        parse_profile("", [STOP, "game.name=Pong", "game.protocol=muzero", override])
    assert "\n" not in str(caught.value)


def test_save_and_load_give_the_same_profile_under_a_protocol(tmp_path):
    profile = parse_profile("", [STOP, "game.name=Pong", "game.protocol=atari100k"])
    save_profile(profile, tmp_path / "p.toml")
    assert load_profile(tmp_path / "p.toml") == profile


def test_under_protocol_replaces_another_protocol_and_a_cap_on_moves():
    game = GameConfig(name="Pong", max_episode_moves=7, frame_stack=4, atari=AtariConfig(image_size=42, noop_max=3))
    strict = under_protocol(under_protocol(game, find_protocol("machado")), find_protocol("atari100k"))
    assert (strict.max_episode_moves, strict.atari.noop_max, strict.atari.sticky_actions) == (0, 30, 0.0)
    assert (strict.frame_stack, strict.atari.image_size, strict.protocol) == (4, 42, "atari100k")


def test_score_without_a_protocol_is_called_greedy():
    assert score_protocol(GameConfig()) == GREEDY
    assert score_protocol(under_protocol(GameConfig(name="Pong"), find_protocol("muzero"))) == "muzero"
