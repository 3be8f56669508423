"""Recorded games: what the files hold, what is drawn next to the pictures, and what is refused."""

import re
import sys

import av
import numpy as np
import pytest
from PIL import Image

from mzpipe.cli.main import main
from mzpipe.errors import InputOutputError
from mzpipe.trained.player import Decision, Player
from mzpipe.trained.video import Limits, record_games
from mzpipe.trained.video.encode import open_video
from mzpipe.trained.video.overlay import SIZE, Panel, draw, top_actions
from mzpipe.trained.watched import Position, WatchedGame
from tests.trained.runs import BOARD, CHECKPOINT, PONG, make_run

DECISION = Decision(
    action=1,
    action_index=1,
    value=0.5,
    network_value=0.25,
    search_policy=np.array([0.25, 0.75, 0.0], np.float32),
    visits=np.array([1, 3, 0], np.int32),
    q=np.array([0.1, 0.6, 0.0], np.float32),
    prior=np.array([0.2, 0.3, 0.5], np.float32),
    legal_actions=np.array([True, True, True]),
)
POSITION = Position(0, 7, np.zeros(4, np.float32), 0, 7.0, DECISION)
PANEL = Panel("A game", "whose moves", ("left", "right", "wait"), 1, POSITION, "", (0.1, 0.5))


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def frames_of(path):
    """Every picture of the file, uint8 [T, H, W, 3]."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    with Image.open(path) as image:
        pictures = []
        for index in range(image.n_frames):
            image.seek(index)
            pictures.append(np.asarray(image.convert("RGB")))
        return np.stack(pictures)


@pytest.mark.slow
def test_an_mp4_has_a_picture_per_move_and_a_second_of_the_end(run):
    path, player = run / "video.mp4", Player.load(run)
    recorded = record_games(player, path, Limits(2, max_moves=8), seed=0, fps=5, progress=lambda *_: None)
    frames = frames_of(path).astype(int)
    assert recorded.moves == 16 and recorded.returns == [8.0, 8.0]
    assert frames.shape == (2 * (8 + 5), SIZE[1], SIZE[0], 3)
    panels, games = frames[:, :480, 600:], frames[:, :480, :600]
    for step in range(7):
        assert (np.abs(panels[step + 1] - panels[step]) > 64).any()
    assert (np.abs(games[7] - games[0]) > 64).any()
    assert np.abs(frames[12] - frames[9]).mean() < 1.0  # the end stands still
    with av.open(str(path)) as container:
        assert container.metadata["comment"] == recorded.caption
        assert container.streams.video[0].average_rate == 5


@pytest.mark.slow
def test_whole_games_repeat_from_their_seed_and_the_return_is_the_moves(run):
    player, told = Player.load(run), []
    videos = []
    for name in ("one.gif", "other.gif"):
        recorded = record_games(
            player, run / name, Limits(1), seed=3, fps=10, progress=lambda *words: told.append(words)
        )
        assert recorded.returns == [float(recorded.moves)]
        videos.append(frames_of(run / name))
    assert len(videos[0]) == recorded.moves + 1  # gif keeps a picture that stands still once
    np.testing.assert_array_equal(*videos)
    assert told[0] == (0, 1) and told[-1] == (0, recorded.moves)


@pytest.mark.slow
def test_a_gif_says_whose_moves_it_shows(run):
    record_games(Player.load(run), run / "video.gif", Limits(1, 2), seed=0, fps=10, progress=lambda *_: None)
    with Image.open(run / "video.gif") as image:
        assert image.size == SIZE
        assert image.info["duration"] == 100
        comment = image.info["comment"].decode()
    for part in ("CartPole-v1", CHECKPOINT, "300 env steps", "4 simulations per move (puct)"):
        assert part in comment


@pytest.mark.slow
def test_games_of_a_player_are_the_same_with_and_without_pictures(run, tmp_path):
    pong = Player.load(make_run(tmp_path / "pong", *PONG))
    values = []
    for looks in (True, False):
        with WatchedGame(pong, 5) as watched:
            watched.begin()
            for _ in range(6):
                if looks:
                    assert watched.picture().shape == (210, 160, 3)
                values.append((position := watched.decide()).decision.value)
                watched.play(position.decision.action)
    assert values[:6] == values[6:]


def test_a_board_is_played_to_its_end_by_both(tmp_path):
    player = Player.load(make_run(tmp_path / "board", *BOARD))
    with WatchedGame(player, 0) as watched:
        watched.begin()
        movers = []
        while not watched.ended:
            position = watched.decide()
            movers.append(position.to_play)
            outcome = watched.play(position.decision.action)
        assert movers == [ply % 2 for ply in range(len(movers))]
        assert outcome.terminated and len(movers) >= 5
        assert watched.returns.sum() == 0.0
        assert watched.returns[movers[-1]] == outcome.reward


def test_the_panel_shows_shares_of_visits_as_bars():
    drawn = draw(np.zeros((210, 160, 3), np.uint8), PANEL)
    assert drawn.shape == (SIZE[1], SIZE[0], 3)
    chosen, other, track = (np.array(colour) for colour in ((255, 154, 82), (56, 134, 198), (50, 61, 75)))
    lengths = [(drawn[top + 26] == colour).all(axis=-1).sum() for top, colour in ((120, chosen), (162, other))]
    assert lengths == [pytest.approx(328 * 3 / 4, abs=2), pytest.approx(328 / 4, abs=2)]
    assert (drawn[204 + 26] == track).all(axis=-1).sum() == pytest.approx(328, abs=2)  # no visit, but a prior


def test_actions_are_named_by_visits_then_by_prior_and_never_illegal():
    decision = DECISION._replace(
        visits=np.array([0, 2, 0, 2, 0], np.int32), prior=np.array([0.1, 0.2, 0.0, 0.4, 0.3], np.float32)
    )
    assert top_actions(decision) == [3, 1, 4, 0]


def test_a_picture_is_scaled_in_whole_steps_and_large_ones_are_made_to_fit():
    small = draw(np.full((100, 100, 3), 255, np.uint8), PANEL)[:480, :600]
    assert (small == 255).all(axis=-1).sum() == 400 * 400
    large = draw(np.full((1000, 2000, 3), 255, np.uint8), PANEL)[:480, :600]
    assert (large == 255).all(axis=-1).sum() == 600 * 300


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--output", "video.avi"], 2, "--output video.avi: name a file that ends in .mp4 or .gif"),
        (["--output", "/no/such/video.gif"], 74, "--output /no/such/video.gif: no such directory: /no/such"),
        (["--checkpoint", "best"], 74, f"no such checkpoint; there are: {CHECKPOINT}"),
    ],
)
def test_record_refuses_before_it_plays(run, capsys, words, code, text):
    assert main(["record", str(run), *words]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line
    assert not (run / "video.mp4").exists()


@pytest.mark.parametrize("words", [["--episodes", "0"], ["--fps", "61"], ["--seed", "-1"], ["--max-moves", "x"]])
def test_record_refuses_numbers_out_of_range(run, capsys, words):
    with pytest.raises(SystemExit) as raised:
        main(["record", str(run), *words])
    assert raised.value.code == 2
    assert re.search(
        rf"argument {words[0]}: ({words[1]} is not at|invalid whole number value)", capsys.readouterr().err
    )


def test_record_names_the_package_that_mp4_needs(run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr("mzpipe.extras.find_spec", lambda name: None)
    assert main(["record", str(run)]) == 2
    assert "mp4 needs PyAV: pip install 'mzpipe[video]'" in capsys.readouterr().err


@pytest.mark.slow
def test_record_says_what_it_wrote_where(run, capsys):
    path = run / "games.gif"
    assert main(["record", str(run), "--max-moves", "3", "--output", str(path)]) == 0
    out = capsys.readouterr().out
    assert f"3 moves, returns 3: {path}" in out
    assert len(frames_of(path)) == 4


@pytest.mark.parametrize("name", ["video.mp4", "video.gif"])
def test_a_file_that_cannot_be_written_is_one_line(tmp_path, name):
    path = tmp_path / "gone" / name
    with (
        pytest.raises(InputOutputError, match=f"--output {path}: cannot be written: No such file or directory"),
        open_video(path, SIZE, 10, "a comment") as add,
    ):
        add(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))


def test_a_recording_that_fails_leaves_no_file(run):
    def fail(*_):
        raise KeyboardInterrupt

    before = sorted(run.iterdir())
    with pytest.raises(KeyboardInterrupt):
        record_games(Player.load(run), run / "video.mp4", Limits(1), seed=0, fps=10, progress=fail)
    assert sorted(run.iterdir()) == before


def test_record_says_once_that_an_episode_goes_on_and_how_to_cut_it_short(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mzpipe.trained.watched.LONG_MOVES", 2)
    assert main(["record", str(run), "--max-moves", "4", "--output", str(tmp_path / "x.gif")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mzpipe record: an episode goes on after 3 moves (none has ended yet): ")
    assert line.endswith("or give `record` --max-moves")
