"""The evaluator: greedy games with a published weights version."""

from .base import NonNegativeInt, PositiveInt, section


@section(frozen=True)
class EvaluatorConfig:
    """How often the agent is examined, and by how many games."""

    # Whole games per evaluation, played side by side.
    episodes: PositiveInt = 20
    # Training steps between the starts of two evaluations.
    interval_steps: PositiveInt = 1_000
    # Simulations per move; 0 takes search.num_simulations.
    num_simulations: NonNegativeInt = 0
