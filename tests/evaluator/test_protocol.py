"""The protocol and settings under which a score was played."""

from mzpipe.config import parse_profile
from mzpipe.evaluator.episodes import match_protocol, protocol_settings

PLAY = "greedy actions without root noise, true rewards, whole games"


def test_settings_of_a_game_without_protocols_say_how_it_is_played():
    profile = parse_profile("", ("game.max_episode_moves=9", "stop.learner_steps=1"))
    assert protocol_settings(profile, 1) == {"play": PLAY, "max_episode_moves": 9}


def test_settings_of_an_atari_game_are_those_of_the_emulator():
    profile = parse_profile("", ("game.name=Pong", "game.protocol=machado", "stop.learner_steps=1"))
    assert protocol_settings(profile, 1) == {
        "play": PLAY,
        "frame_skip": 4,
        "max_pool": True,
        "sticky_actions": 0.25,
        "noop_max": 0,
        "max_episode_frames": 108_000,
        "full_action_space": True,
    }


def test_a_match_is_named_after_the_opponent():
    profile = parse_profile("", ("game.name=connect_four", "evaluator.opponent=rollouts", "stop.learner_steps=1"))
    assert match_protocol(profile, 2) == "greedy-versus-rollouts-100"
    assert protocol_settings(profile, 2) == {"play": PLAY, "opponent": "rollouts", "opponent_simulations": 100}


def test_a_game_of_one_player_is_named_by_its_protocol_whatever_the_opponent():
    profile = parse_profile("", ("game.name=Pong", "game.protocol=muzero", "stop.learner_steps=1"))
    assert match_protocol(profile, 1) == "muzero"
    assert "opponent" not in protocol_settings(profile, 1)
