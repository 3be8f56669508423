"""The rules of games, for a batch of games at a time; see `game` for the promises of every family."""

from .closing import opened
from .game import Game, GameSpec, StepResult, Symmetry, TwoPlayerGame, WalkableGame
from .registry import (
    describe_game,
    describe_outside,
    has_protocols,
    is_others_code,
    make_game,
    same_game,
    unused_settings,
)
from .stack import FrameStack

__all__ = [
    "FrameStack",
    "Game",
    "GameSpec",
    "StepResult",
    "Symmetry",
    "TwoPlayerGame",
    "WalkableGame",
    "describe_game",
    "describe_outside",
    "has_protocols",
    "is_others_code",
    "make_game",
    "opened",
    "same_game",
    "unused_settings",
]
