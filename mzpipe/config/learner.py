"""The learner: batches, loss, optimiser, precision, publication, checkpoints."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, section


@section(frozen=True)
class LearnerConfig:
    """One training step and what follows from it."""

    # Devices of the learner ranks, one rank each: "auto", "cpu", or CUDA indices.
    devices: tuple[int | str, ...] = ("auto",)
    # Intra-op threads of each rank's process.
    num_threads: Annotated[int, Field(ge=1, le=256)] = 1
    # Unrolls per training step, over all ranks together: each takes an equal part.
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 128
    # Dynamics steps unrolled from each sampled position.
    num_unroll_steps: Annotated[int, Field(ge=1, le=64)] = 5
    # "adam" adds weight_decay to the gradient, "adamw" takes it off the weights; "sgd" has momentum.
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    # The learning rate is multiplied by lr_decay_rate every lr_decay_steps: a little at every step, or all at once.
    lr_schedule: Literal["exponential", "step"] = "exponential"
    lr_decay_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    lr_decay_steps: PositiveInt = 100_000
    # Steps over which the learning rate rises linearly from zero.
    warmup_steps: NonNegativeInt = 0
    momentum: Fraction = 0.9
    weight_decay: NonNegativeFloat = 1e-4
    # Global norm to which gradients are clipped; 0 leaves them as they are.
    max_grad_norm: NonNegativeFloat = 5.0
    value_loss_weight: NonNegativeFloat = 0.25
    # Of EfficientZero's consistency loss; counts where network.consistency is set.
    consistency_loss_weight: NonNegativeFloat = 2.0
    # Arithmetic of forward and backward passes; "auto": bfloat16 on GPUs that have it, float32 elsewhere. Weights and
    # the optimiser are float32 always.
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    # Forward and backward passes through torch.compile, and as CUDA graphs (which implies compile). Where that fails
    # the learner says so and goes on without.
    compile: bool = False
    cuda_graphs: bool = False
    # The published weights are an exponential average of the trained ones, which keep this part of it each step; 0:
    # the trained ones themselves.
    average_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    # Training steps between two published weights versions, and between two checkpoints.
    publish_interval: PositiveInt = 100
    checkpoint_interval: PositiveInt = 2_000
    # Newest checkpoints that are kept, and the interval in training steps of those that are kept for ever; 0: none.
    keep_checkpoints: PositiveInt = 3
    keep_every: NonNegativeInt = 0
    # Training steps between two looks at what is being learnt (entropies, errors per unroll step, gradient norms).
    diagnostics_interval: PositiveInt = 100
