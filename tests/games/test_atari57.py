"""The 57 games of the Atari benchmark, by name, in the shapes that networks are given."""

import numpy as np
import pytest

from mzpipe.config import AtariConfig, GameConfig
from mzpipe.games import FrameStack, make_game

pytestmark = pytest.mark.slow  # emulators take a tenth of a second each to boot

ATARI_57 = (
    "Alien",
    "Amidar",
    "Assault",
    "Asterix",
    "Asteroids",
    "Atlantis",
    "BankHeist",
    "BattleZone",
    "BeamRider",
    "Berzerk",
    "Bowling",
    "Boxing",
    "Breakout",
    "Centipede",
    "ChopperCommand",
    "CrazyClimber",
    "Defender",
    "DemonAttack",
    "DoubleDunk",
    "Enduro",
    "FishingDerby",
    "Freeway",
    "Frostbite",
    "Gopher",
    "Gravitar",
    "Hero",
    "IceHockey",
    "Jamesbond",
    "Kangaroo",
    "Krull",
    "KungFuMaster",
    "MontezumaRevenge",
    "MsPacman",
    "NameThisGame",
    "Phoenix",
    "Pitfall",
    "Pong",
    "PrivateEye",
    "Qbert",
    "Riverraid",
    "RoadRunner",
    "Robotank",
    "Seaquest",
    "Skiing",
    "Solaris",
    "SpaceInvaders",
    "StarGunner",
    "Surround",
    "Tennis",
    "TimePilot",
    "Tutankham",
    "UpNDown",
    "Venture",
    "VideoPinball",
    "WizardOfWor",
    "YarsRevenge",
    "Zaxxon",
)


def test_there_are_57():
    assert len(set(ATARI_57)) == 57


@pytest.mark.parametrize("name", ATARI_57)
def test_game_loads_by_name_and_plays(name):
    game = make_game(GameConfig(name=name), 1, seed=0, training=False)
    assert game.reset().any()
    for action in range(min(4, game.spec.num_actions)):
        result = game.step(np.array([action]))
        assert result.frame_BF.shape == (1, 1, 84, 84) and np.isfinite(result.reward_B).all()
        assert not result.terminated_B.any()
    game.close()


@pytest.mark.parametrize("frame_stack", [4, 32])
@pytest.mark.parametrize(("grayscale", "image_size", "channels"), [(True, 84, 1), (False, 96, 3)])
def test_frames_stack_to_what_the_network_is_given(frame_stack, grayscale, image_size, channels):
    atari = AtariConfig(grayscale=grayscale, image_size=image_size)
    game = make_game(GameConfig(name="Seaquest", frame_stack=frame_stack, atari=atari), 2, seed=0)
    assert game.spec.frame_shape == (channels, image_size, image_size)
    assert game.spec.observation_shape == (channels * frame_stack, image_size, image_size)
    stack = FrameStack(game.spec, 2)
    stack.reset(game.reset())
    frame_BF = game.step(np.array([1, 2])).frame_BF
    stack.push(frame_BF)
    assert stack.view().shape == (2, *game.spec.observation_shape) and stack.view().dtype == np.uint8
    np.testing.assert_array_equal(stack.view()[:, -channels:], frame_BF)
