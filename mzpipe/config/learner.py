"""The learner: batches, loss, optimiser, publication, checkpoints."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, section


@section(frozen=True)
class LearnerConfig:
    """One training step and what follows from it."""

    # Devices of the learner ranks: "auto", "cpu", or CUDA indices.
    devices: tuple[int | str, ...] = ("auto",)
    # Intra-op threads of the process.
    num_threads: Annotated[int, Field(ge=1, le=256)] = 1
    # Unrolls per training step.
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 128
    # Dynamics steps unrolled from each sampled position.
    num_unroll_steps: Annotated[int, Field(ge=1, le=64)] = 5
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    # The learning rate is multiplied by lr_decay_rate every lr_decay_steps, continuously.
    lr_decay_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    lr_decay_steps: PositiveInt = 100_000
    # Steps over which the learning rate rises linearly from zero.
    warmup_steps: NonNegativeInt = 0
    momentum: Fraction = 0.9
    weight_decay: NonNegativeFloat = 1e-4
    # Global norm to which gradients are clipped; 0 leaves them as they are.
    max_grad_norm: NonNegativeFloat = 5.0
    value_loss_weight: NonNegativeFloat = 0.25
    # Training steps between two published weights versions, and between two checkpoints.
    publish_interval: PositiveInt = 100
    checkpoint_interval: PositiveInt = 2_000
