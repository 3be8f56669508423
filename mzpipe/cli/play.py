"""`mzpipe play RUN`: play against a trained agent.

Board games are played in the terminal, on a page, or by another program; others by keyboard.
"""

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from ..config import load_profile
from ..config.search import MOST_SIMULATIONS
from ..errors import ExitCode, UsageError
from ..games.notation.position import FIRST, SECOND
from ..games.notation.styles import STYLES
from ..runs.directory import RunDirectory, refuse_no_run
from ..trained.play.match import Match
from ..trained.play.protocols import Engine
from ..trained.play.protocols import serve as serve_lines
from ..trained.play.protocols.gtp import GtpEngine
from ..trained.play.protocols.uci import UciEngine
from ..trained.play.records import record_of, refuse_no_record
from ..trained.play.terminal import play_in_terminal
from ..trained.play.web import serve
from ..trained.play.web.app import Games
from ..trained.player import Player
from ..trained.watched import WatchedGame
from .profile_arguments import (
    add_checkpoint_argument,
    add_import_argument,
    add_leaves_argument,
    add_run_argument,
    add_symmetries_argument,
    integer,
    refuse_unwritable,
    refuse_vectors,
    seconds,
    write_text,
)

ENGINES = ("gtp", "uci", "usi")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_run_argument(parser)
    add_import_argument(parser)
    add_checkpoint_argument(parser)
    parser.add_argument(
        "--simulations",
        type=integer(1),
        help="the agent's per move (default: as in evaluations; with --seconds-per-move the most there can be)",
    )
    parser.add_argument(
        "--seconds-per-move", type=seconds, metavar="S", help="the most the agent thinks (default: no limit)"
    )
    add_leaves_argument(parser, "one for every 50 simulations, 1 to 16")
    add_symmetries_argument(parser)
    parser.add_argument("--reuse", action="store_true", help="search on from the last move's tree (pUCT)")
    seats = parser.add_mutually_exclusive_group()
    seats.add_argument("--first", action="store_const", const=FIRST, dest="seat", help="you begin (the default)")
    seats.add_argument("--second", action="store_const", const=SECOND, dest="seat", help="the agent begins")
    parser.add_argument("--engine", choices=ENGINES, help="answer another program in this protocol on standard input")
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="in the terminal: write the game as SGF, chess as PGN"
    )
    parser.add_argument("--web", action="store_true", help="on a page that only this machine can open")
    parser.add_argument("--port", type=integer(0, 65535), help="the page's port (default: 0, any free one)")
    parser.add_argument("--advice", action="store_true", help="one-player games: show what the agent would do")
    parser.add_argument("--seed", type=integer(0), help="one-player games: seed of the episodes (default: 0)")


def run(arguments: argparse.Namespace) -> int:
    """Plays until the game ends or the person leaves; the page is served until Ctrl-C."""
    if arguments.engine:
        _serve_engine(arguments)
        return ExitCode.FINISHED
    player = _load(arguments)
    is_board = player.game.num_players == 2
    refuse_vectors(player.game, "play")
    _refuse_others(arguments, player.game.name, is_board)
    about = (
        f"{player.game.name} {'against' if is_board else 'of'} {arguments.run.resolve().name}, "
        f"{player.agent.checkpoint}, {_spoken_effort(player)}"
    )
    if is_board:
        _play_board(player, arguments, about)
    else:
        _play_by_keyboard(player, arguments, about)
    return ExitCode.FINISHED


def _load(arguments: argparse.Namespace) -> Player:
    limit = arguments.seconds_per_move
    return Player.load(
        arguments.run,
        arguments.checkpoint,
        arguments.simulations or (None if limit is None else MOST_SIMULATIONS),
        leaves=arguments.leaves,
        seconds=limit,
        reuse=arguments.reuse,
        symmetries=arguments.symmetries,
    )


def _spoken_effort(player: Player) -> str:
    number = f"{player.config.num_simulations} simulations per move"
    return number if player.seconds is None else f"up to {number}, in {player.seconds:g} s"


def _refuse_others(arguments: argparse.Namespace, name: str, is_board: bool) -> None:
    """Raises UsageError for arguments that do not apply to this game."""
    if is_board and name not in STYLES:
        raise UsageError(f"{name}: mzpipe has no board for it; it has boards for {', '.join(STYLES)}")
    for_boards = {
        "--web": arguments.web,
        "--port": arguments.port,
        "--first or --second": arguments.seat,
        "--save": arguments.save,
    }
    for_others = {"--advice": arguments.advice, "--seed": arguments.seed}
    wrong, why = (
        (for_others, f"is for one-player games, {name} has two players: leave it out")
        if is_board
        else (for_boards, f"is for board games, {name} has one player: leave it out, and play by keyboard in a window")
    )
    for flag, value in wrong.items():
        if value is not None and value is not False:
            raise UsageError(f"{flag} {why}")
    if arguments.save and arguments.web:
        raise UsageError(f"--save {arguments.save} is for games in the terminal: leave out --web")
    if arguments.save:
        refuse_no_record(name)
        refuse_unwritable(arguments.save, "--save")
    if arguments.port is not None and not arguments.web:
        raise UsageError(f"--port {arguments.port} is for the page: add --web")


def _play_board(player: Player, arguments: argparse.Namespace, about: str) -> None:
    console = Console(highlight=False)
    console.print(about, markup=False, soft_wrap=True)

    def new_match(person: int) -> Match:
        return Match(player.agent.profile.game, player, person)

    def announce(address: str) -> None:
        console.print(f"{address}   (Ctrl-C ends it)", markup=False, soft_wrap=True)

    seat = arguments.seat or FIRST
    if not arguments.web:
        with open(sys.stdin.fileno(), errors="replace", closefd=False) if sys.stdin else nullcontext(()) as lines:
            match = new_match(seat)
            play_in_terminal(match, lines, console)
        if arguments.save:
            agent = f"mzpipe {arguments.run.resolve().name}"
            players = ("you", agent) if seat == FIRST else (agent, "you")
            write_text(arguments.save, record_of(match, player.agent.profile.game, players), "--save")
        return
    games = Games(new_match)
    games.open(seat)
    serve(games, about, arguments.port or 0, announce)


def _serve_engine(arguments: argparse.Namespace) -> None:
    """Answers the lines of another program until that quits."""
    given = [arguments.web, arguments.seat is not None, arguments.save, arguments.port is not None, arguments.advice]
    if any(given):
        raise UsageError(
            f"--engine {arguments.engine} takes only --checkpoint, --simulations and what limits the search"
        )
    refuse_no_run(arguments.run)
    config = load_profile(RunDirectory(arguments.run).profile).game

    def load() -> Player:
        player = _load(arguments)
        player.consider([])  # the first search of a process takes longer than others
        return player

    name = arguments.run.resolve().name
    engine: Engine
    if arguments.engine == "gtp":
        engine = GtpEngine(config, load(), name)
    else:
        engine = UciEngine(config, load, name)
        if engine.protocol != arguments.engine:
            raise UsageError(f"{config.name}: --engine {engine.protocol}, not {arguments.engine}")
    serve_lines(engine)


def _play_by_keyboard(player: Player, arguments: argparse.Namespace, about: str) -> None:
    # pygame prints a greeting on stdout, and ALSA complains on stderr if there is no sound card.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    from ..trained.play.keyboard import play_by_keyboard

    with WatchedGame(player, arguments.seed or 0) as watched:
        play_by_keyboard(watched, about, advice=arguments.advice)
