"""What a score was played under, in one line."""

from mzpipe.config import GameConfig, find_protocol, under_protocol
from mzpipe.evaluator.protocol import protocol_line

PLAY = "greedy actions without root noise, true rewards, whole games"


def test_line_of_a_game_without_protocols_says_how_it_is_played():
    assert protocol_line(GameConfig(max_episode_moves=9)) == f"greedy: {PLAY}, max_episode_moves 9"


def test_line_of_an_atari_game_says_every_setting_of_the_emulator():
    game = under_protocol(GameConfig(name="Pong"), find_protocol("machado"))
    assert protocol_line(game) == (
        f"machado: {PLAY}, frame_skip 4, max_pool True, sticky_actions 0.25, noop_max 0, "
        "max_episode_frames 108000, full_action_space True"
    )
