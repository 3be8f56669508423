"""The check at the start: an emulator that does not run as configured is refused, and the field is named."""

import pytest

from mzpipe.config import AtariConfig, GameConfig
from mzpipe.errors import MzpipeError
from mzpipe.games import atari_emulators, make_game
from mzpipe.games.atari_check import check_emulator

pytestmark = pytest.mark.slow  # emulators take a tenth of a second each to boot


@pytest.fixture
def emulators_with(monkeypatch):
    """Makes ale_py take other settings than it is given; forgets what was checked before."""
    check_emulator.cache_clear()

    def plant(**other):
        class Disobedient(atari_emulators.AtariVectorEnv):
            def __init__(self, *args, **settings):
                super().__init__(*args, **settings | other)

        monkeypatch.setattr(atari_emulators, "AtariVectorEnv", Disobedient)

    yield plant
    check_emulator.cache_clear()


@pytest.mark.parametrize(
    ("name", "settings", "planted", "text"),
    [
        ("Pong", {}, {"frameskip": 16}, "frame_skip=4 {} one action advanced the emulator by 16 frames, not 4"),
        ("Pong", {}, {"noop_max": 200}, "noop_max=30 {} an episode begins with 44 no-ops"),
        ("Pong", {}, {"maxpool": False}, "sticky_actions=0.0 {} after an action its screen, the maximum of two frames"),
        ("Pong", {}, {"repeat_action_probability": 0.5}, "sticky_actions=0.0 {} after an action its screen"),
        ("Boxing", {"sticky_actions": 0.25}, {"repeat_action_probability": 0.2}, "sticky_actions=0.25 {} after an"),
        ("Skiing", {}, {"reward_clipping": True}, "clip_rewards=False {} after an action its reward is not that of"),
        ("Skiing", {"clip_rewards": True}, {"reward_clipping": False}, "clip_rewards=True {} after an action its rew"),
        ("Pong", {}, {"max_num_frames_per_episode": 12}, "max_episode_frames=108000 {} after an action its cut is"),
        ("Pong", {}, {"full_action_space": True}, "full_action_space=False {} ale_py offers 18 actions, not 6"),
    ],
)
def test_construction_fails_when_the_emulator_disobeys(emulators_with, name, settings, planted, text):
    emulators_with(**planted)
    with pytest.raises(MzpipeError) as caught:
        make_game(GameConfig(name=name, atari=AtariConfig(**settings)), 2, seed=0)
    assert str(caught.value).startswith(f"game.atari.{text.format(f'does not hold in {name}:')}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("frame_skip", [1, 2, 5])
@pytest.mark.parametrize("sticky_actions", [0.0, 0.25])
def test_check_passes_when_the_emulator_obeys(frame_skip, sticky_actions):
    atari = AtariConfig(frame_skip=frame_skip, sticky_actions=sticky_actions, clip_rewards=True, noop_max=0)
    check_emulator(GameConfig(name="Breakout", atari=atari), training=True)


def test_check_passes_when_the_cap_cuts_the_first_skip_short():
    check_emulator(GameConfig(name="Pong", atari=AtariConfig(max_episode_frames=3)), training=False)


def test_check_looks_once_at_one_configuration(emulators_with):
    config = GameConfig(name="Pong", atari=AtariConfig(image_size=42))
    make_game(config, 1, seed=0)
    emulators_with(frameskip=16)  # it is not checked again
    assert make_game(config, 1, seed=0).reset().shape == (1, 1, 42, 42)
    assert (check_emulator.cache_info().misses, check_emulator.cache_info().hits) == (1, 1)
