"""Pictures and action names of games: the game's own if it has them, else drawn from frames."""

from types import SimpleNamespace

import numpy as np
import pytest

from mzpipe.config import AtariConfig, GameConfig
from mzpipe.errors import GameError
from mzpipe.games import GameSpec, make_game
from mzpipe.games.board_picture import draw_pieces
from mzpipe.games.single import BatchedGame
from mzpipe.games.watching import action_names, draw_frame, picture
from tests.games.helpers import PONG, play, random_actions


@pytest.mark.slow
def test_atari_screen_is_the_game_that_the_agent_plays():
    # Sticky actions, no-ops and episodes of few moves: everything random takes part.
    config = GameConfig(
        name="Breakout",
        max_episode_moves=40,
        atari=AtariConfig(image_size=160, grayscale=False, sticky_actions=0.25),
    )
    game = make_game(config, 2, 7, training=False)
    frame_BF = game.reset()
    for step, action_B in enumerate(random_actions(game, 130)):
        if step == 0:
            picture(game, frame_BF[0])
        result = play(game, action_B[None])[0]
        if result.truncated_B[0]:
            continue  # the game is at its next start already
        screen, frame = picture(game, result.frame_BF[0]).astype(float), result.frame_BF[0].astype(float)
        # The frame is the screen with its 210 rows pressed into 160: columns have the same mean colour.
        np.testing.assert_allclose(screen.mean(axis=0), frame.mean(axis=1).T, atol=2.0)
    game.close()


def test_atari_screen_is_not_followed_from_the_middle_of_a_game():
    game = make_game(PONG, 1, 0)
    game.reset()
    play(game, random_actions(game, 1))
    with pytest.raises(AssertionError, match="the screen is followed from the start"):
        game.render()
    game.close()


def test_atari_screen_is_not_followed_from_another_start_than_the_first():
    game = make_game(PONG, 1, 0)
    game.reset()
    game.reset()
    with pytest.raises(AssertionError, match="the screen is followed from the start"):
        game.render()
    game.close()


def test_atari_actions_have_the_emulators_names():
    game = make_game(PONG, 1, 0)
    assert action_names(game) == ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")
    game.close()


@pytest.mark.parametrize(("name", "last"), [("CartPole-v1", "right"), ("LunarLander-v3", "right engine")])
def test_gymnasium_draws_and_names_its_own(name, last):
    game = make_game(GameConfig(name=name), 2, 0)
    frame_BF = game.reset()
    before = picture(game, frame_BF[0])
    assert before.dtype == np.uint8 and before.shape == (400, 600, 3)
    play(game, np.ones((8, 2), np.int64))
    after = picture(game, frame_BF[0])
    assert (before != after).any()
    assert action_names(game)[-1] == last
    assert len(action_names(game)) == game.spec.num_actions
    game.close()


def test_a_game_without_pictures_or_names_is_drawn_from_its_frame():
    game = SimpleNamespace(spec=SimpleNamespace(num_actions=9))
    frame = np.zeros((2, 3, 3), np.float32)
    frame[1, 1, 1] = 1.0
    drawn = picture(game, frame)
    assert drawn.shape == (96, 96, 3)
    assert len({tuple(drawn[row, column]) for row in (16, 48, 80) for column in (16, 48, 80)}) == 2
    assert (drawn[48, 48] != drawn[16, 16]).any()
    assert action_names(game) == tuple("012345678")


def test_minatar_is_drawn_in_planes_and_its_actions_have_names():
    game = make_game(GameConfig(name="MinAtar/Breakout-v1"), 1, 0)
    assert picture(game, game.reset()[0]).shape == (320, 320, 3)
    assert action_names(game) == ("nothing", "left", "right")


def test_a_game_of_ones_own_may_draw_and_name_itself():
    class Own:
        num_actions, frame_shape = 2, (1,)

        def render(self):
            return np.full((4, 5, 3), 7, np.uint8)

        def action_names(self):
            return ["yes", "no"]

    spec = GameSpec("Own", "one's own", (1,), "float32", 1, 2, 1)
    game = BatchedGame(spec, [Own(), Own()], 0)
    assert (picture(game, np.zeros(1, np.float32)) == np.full((4, 5, 3), 7)).all()
    assert action_names(game) == ("yes", "no")


@pytest.mark.parametrize(
    ("member", "value", "text"),
    [
        ("render", np.zeros((4, 5)), r"own: render\(\) returned float64 \(4, 5\), not uint8 \(H, W, 3\)"),
        ("action_names", ("yes",), r"own: action_names\(\) returned \('yes',\), not a word for each of num_actions=2"),
        ("action_names", (1, 2), r"own: action_names\(\) returned \(1, 2\), not a word for each"),
    ],
)
def test_what_a_single_game_offers_to_people_is_checked(member, value, text):
    class Own:
        pass

    setattr(Own, member, lambda self: value)
    game = BatchedGame(GameSpec("own", "one's own", (1,), "float32", 1, 2, 1), [Own()], 0)
    with pytest.raises(GameError, match=text):
        getattr(game, member)()


@pytest.mark.parametrize(
    ("name", "actions", "stones", "names"),
    [
        ("tic_tac_toe", (0, 8), {(0, 0): 0, (2, 2): 1}, ("(0,0)", "(2,2)")),
        ("connect_four", (3, 3), {(5, 3): 0, (4, 3): 1}, ("0", "6")),
        ("hex", (1, 11), {(0, 1): 0, (1, 0): 1}, ("a1", "k11")),
        ("go", (0, 360), {(18, 0): 0, (0, 18): 1}, ("a1", "PASS")),
        ("gomoku", (0, 16), {(0, 0): 0, (1, 1): 1}, ("0,0", "14,14")),
    ],
)
def test_a_board_shows_each_players_stones_in_one_colour_for_either_mover(name, actions, stones, names):
    game = make_game(GameConfig(name=name), 1, 0)
    game.reset()
    for action in actions:
        frame_BF = game.step(np.array([action])).frame_BF
    drawn = picture(game, frame_BF[0])[16::32, 16::32]
    dark, light = (np.argwhere((drawn == colour).all(axis=-1)).tolist() for colour in (20, 244))
    assert [dark, light] == [[list(place) for place, player in stones.items() if player == wanted] for wanted in (0, 1)]
    assert (action_names(game)[0], action_names(game)[-1]) == names


@pytest.mark.parametrize(("name", "rows", "taken"), [("chess", 8, (0, 1, 6, 7)), ("shogi", 9, (0, 2, 6, 8))])
def test_pieces_stand_where_they_begin_light_and_dark(name, rows, taken):
    game = make_game(GameConfig(name=name), 1, 0)
    drawn = picture(game, game.reset()[0])
    assert drawn.shape == (32 * rows, 32 * rows, 3)
    squares = drawn.reshape(rows, 32, rows, 32, 3).swapaxes(1, 2)[:, :, 1:, 1:]
    light, dark = ((squares == colour).all(axis=-1).any(axis=(2, 3)) for colour in (244, 20))
    assert dark[list(taken[:2])].all() and not dark[rows // 2 :].any()
    assert light[list(taken[2:])].all() and not light[: rows // 2 + 1].any()
    assert len(action_names(game)) == game.spec.num_actions


def test_promoted_pieces_and_empty_squares_are_read():
    drawn = draw_pieces("9/4+P4/9 b - 1")
    squares = (drawn.reshape(3, 32, 9, 32, 3).swapaxes(1, 2)[:, :, 1:, 1:] == 244).all(axis=-1).any(axis=(2, 3))
    assert np.argwhere(squares).tolist() == [[1, 4]]
    assert (draw_pieces("9/4P4/9 b - 1") != drawn).any()


def test_a_plane_that_is_the_same_everywhere_is_left_out():
    frame = np.zeros((3, 2, 2), np.uint8)
    frame[0, 0, 0], frame[2] = 255, 255
    np.testing.assert_array_equal(draw_frame(frame), draw_frame(frame[:1]))


@pytest.mark.slow
def test_a_game_with_action_planes_is_shown_as_without_them():
    game = make_game(GameConfig(name="Pong", action_planes=True, atari=PONG.atari), 1, 0)
    frame_BF = game.reset()
    assert picture(game, frame_BF[0]).shape == (210, 160, 3)
    assert action_names(game)[:2] == ("NOOP", "FIRE")
    game.close()
    games = [make_game(GameConfig(name="MinAtar/Breakout-v1", action_planes=planes), 1, 0) for planes in (False, True)]
    for game in games:
        game.reset()
    pictures = [picture(game, game.step(np.array([1])).frame_BF[0]) for game in games]
    np.testing.assert_array_equal(*pictures)


def test_images_are_shown_as_they_are():
    grey = np.arange(400, dtype=np.uint8).reshape(1, 20, 20)
    np.testing.assert_array_equal(draw_frame(grey), np.repeat(grey[0][:, :, None], 3, axis=2))
    colour = np.random.default_rng(0).integers(0, 256, (4, 20, 20), np.uint8)  # the fourth may hold actions
    np.testing.assert_array_equal(draw_frame(colour), np.moveaxis(colour[:3], 0, -1))


def test_planes_have_a_colour_each_and_nothing_is_dark():
    frame = np.zeros((4, 3, 5), np.uint8)
    for plane in range(4):
        frame[plane, 0, plane] = 255
    drawn = draw_frame(frame)
    assert drawn.shape == (96, 160, 3)
    colours = [tuple(drawn[16, 16 + 32 * column]) for column in range(5)]
    assert len(set(colours)) == 5
    assert max(colours[4]) < 64
    assert draw_frame(np.zeros((2, 3, 3), np.float32)).max() < 80


def test_numbers_are_bars_up_and_down_from_the_middle():
    drawn = draw_frame(np.array([1.0, -1.0, 0.0, 1e9], np.float32))
    assert drawn.shape == (240, 320, 3)
    blue = drawn[:, :, 2] == 233
    heights = [blue[:, column].sum() for column in (40, 120, 200, 280)]
    assert heights[0] == heights[1] > heights[2]
    assert heights[3] > 110
    assert blue[:119, 40].any() and not blue[:119, 120].any()
