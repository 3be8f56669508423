"""UCI and USI as a controller sees them."""

import io

import pytest

from mzpipe.errors import UsageError
from mzpipe.trained.play.protocols import serve
from mzpipe.trained.play.protocols.uci import UciEngine, centipawns
from tests.trained.play.agents import RankedAgent, board_config


@pytest.fixture
def loaded():
    return []


def new_engine(name, loaded, answers=()):
    config = board_config(name)
    agent = RankedAgent(config, answers)

    def load():
        loaded.append(agent)
        return agent

    return UciEngine(config, load, "a-run")


def typed(engine, *lines):
    out = io.StringIO()
    serve(engine, io.BytesIO("\n".join([*lines, ""]).encode()), out)
    return out.getvalue().splitlines()


def test_engine_introduces_itself_before_it_loads(loaded):
    engine = new_engine("chess", loaded)
    assert typed(engine, "uci") == ["id name mzpipe a-run", "id author the mzpipe team", "uciok"]
    assert loaded == []
    assert typed(engine, "isready", "isready") == ["readyok", "readyok"]
    assert len(loaded) == 1


def test_moves_are_in_long_notation_and_castling_moves_the_king(loaded):
    engine = new_engine("chess", loaded, ["O-O"])
    moves = "e2e4 e7e5 g1f3 b8c6 f1c4 f8c5"
    answers = typed(engine, "ucinewgame", f"position startpos moves {moves}", "go wtime 1000 btime 1000")
    assert answers == ["info depth 1 nodes 10 score cp 46 pv e1g1", "bestmove e1g1"]


def test_promotion_has_the_pieces_letter(loaded):
    engine = new_engine("chess", loaded)
    moves = "a2a4 b7b5 a4b5 a7a6 b5a6 c8b7 a6b7 h7h6 b7a8q"
    assert typed(engine, f"position startpos moves {moves}") == []
    assert len(engine._position.played) == 9


def test_position_goes_on_from_what_it_shares_with_the_last(loaded):
    engine = new_engine("chess", loaded)
    for moves in ("e2e4 e7e5", "e2e4 e7e5 g1f3", "e2e4 c7c5", "", "d2d4"):
        assert typed(engine, f"position startpos moves {moves}") == []
        assert [move.notation for move in engine._position.played] == moves.split()


def test_move_is_kept_until_it_is_asked_for(loaded):
    engine = new_engine("chess", loaded, ["e4"])
    assert typed(engine, "position startpos", "go infinite")[-1].endswith("pv e2e4")
    assert typed(engine, "stop", "stop") == ["bestmove e2e4"]


def test_shogi_speaks_usi(loaded):
    engine = new_engine("shogi", loaded, ["2g2f"])
    assert typed(engine, "usi")[-1] == "usiok"
    assert typed(engine, "usinewgame", "position startpos moves 7g7f 3c3d", "go byoyomi 100")[-1] == "bestmove 2g2f"


def test_mated_player_has_no_move(loaded):
    engine = new_engine("chess", loaded)
    assert typed(engine, "position startpos moves f2f3 e7e5 g2g4 d8h4", "go") == ["bestmove 0000"]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("position startpos moves e2e5", "info string position: e2e5 is illegal after 0 moves"),
        ("position fen 8/8/8/8/8/8/8/8 w - - 0 1", "info string position: games begin at startpos"),
        ("position", "info string position: games begin at startpos"),
        ("\x00garbage", "info string unknown command"),
        ("x" * 100_000, "info string the line is too long"),
    ],
)
def test_what_is_wrong_is_one_line(line, answer, loaded):
    (said,) = typed(new_engine("chess", loaded), line)
    assert said.startswith(answer)


def test_words_before_a_command_are_left_out(loaded):
    assert typed(new_engine("chess", loaded), "joho isready", "setoption name Hash value 32", "quit") == ["readyok"]


def test_other_games_are_refused():
    with pytest.raises(UsageError, match="go: UCI is for chess, USI for shogi"):
        UciEngine(board_config("go"), lambda: None, "a-run")


@pytest.mark.parametrize(("value", "score"), [(0.0, 0), (0.5, 111), (-0.5, -111), (1.0, 12575), (-1.0, -12575)])
def test_scores_are_leelas(value, score):
    assert centipawns(value) == pytest.approx(score, abs=1)


def test_the_agent_is_told_how_long_it_may_think(loaded):
    engine = new_engine("chess", loaded)
    answers = typed(engine, "go movetime 2000", "go infinite", "stop", "go movetime 0", "go movetime x")
    assert answers[-2:] == [
        "info string go: movetime 0 must be more than 0",
        "info string go: movetime 'x' is no whole number",
    ]
    assert loaded[0].limits == [pytest.approx(1.97), None]
