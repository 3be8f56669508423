"""The evaluator: greedy games with a published weights version."""

from typing import Literal

from .base import NonNegativeInt, PositiveInt, section

OpponentName = Literal["random", "rollouts", "perfect", "every_line"]


@section(frozen=True)
class EvaluatorConfig:
    """How often the agent is examined, and by how many games."""

    # Whole games per evaluation, played side by side.
    episodes: PositiveInt = 20
    # Training steps between the starts of two evaluations.
    interval_steps: PositiveInt = 1_000
    # Simulations per move; 0 takes search.num_simulations.
    num_simulations: NonNegativeInt = 0
    # Two-player games: who plays against the agent. "random" draws legal actions, "rollouts" is OpenSpiel's tree search
    # with random playouts, "perfect" never loses (tic_tac_toe). The agent begins every other game; a return is
    # its outcome: 1, 0 or -1. "every_line" is not one opponent but all: every line of play that the agent can meet, as
    # the first and as the second player, counts as an episode (tic_tac_toe).
    opponent: OpponentName = "random"
    # Playouts per move of "rollouts".
    opponent_simulations: PositiveInt = 100
