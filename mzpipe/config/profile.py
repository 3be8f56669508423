"""The profile of a complete run, with one section per process."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, section
from .game import GameConfig
from .replay import ReplayConfig
from .search import SearchConfig


@section(frozen=True)
class ActorConfig:
    """How training games are played."""

    # Transitions per trajectory record sent to the replay server.
    trajectory_length: Annotated[int, Field(ge=1, le=4096)] = 64
    # Actions are sampled from visits^(1/T); T takes these values...
    temperatures: tuple[NonNegativeFloat, ...] = (1.0, 0.5, 0.25)
    # ...from these fractions of stop.learner_steps on (the first must be 0).
    temperature_fractions: tuple[Fraction, ...] = (0.0, 0.5, 0.75)
    # Moves at an episode's start that are sampled; later the most visited action is played (board games: 30). 0: all.
    temperature_moves: NonNegativeInt = 0


@section(frozen=True)
class ReanalyzeConfig:
    """Searching stored positions again (MuZero Reanalyze; Schrittwieser et al. 2020, appendix H)."""

    # Part of each batch's positions that is searched again before the learner sees it; 0: no reanalyzers run.
    fraction: Fraction = 0.0
    # Learner steps between updates of the target network, from whose values targets bootstrap, to the newest weights.
    target_interval: PositiveInt = 200
    # Batches that may wait for their fresh targets at the same time.
    batches_in_flight: Annotated[int, Field(ge=1, le=64)] = 4


@section(frozen=True)
class InferenceConfig:
    """The inference servers, one per device."""

    # Devices, one server each: "auto" (every GPU, or the CPU), "cpu", or CUDA indices. A GPU that is named twice, or
    # "auto" twice, has two servers.
    devices: tuple[int | str, ...] = ("auto",)
    # How long the oldest pending lane may wait for the others, in microseconds.
    batch_timeout_us: NonNegativeInt = 200
    # The network's library; "auto": torch on GPUs; on CPUs OpenVINO for residual networks, onnxruntime for an mlp.
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto"
    # Arithmetic of the network; "auto": bfloat16 if the device multiplies in it (GPUs since Ampere; with OpenVINO,
    # CPUs with AVX-512 BF16 or AMX), else float32. "tf32" rounds products on GPUs and is float32 on CPUs. Torch keeps
    # hidden states in bfloat16 too; the others keep them in float32.
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    # Intra-op threads of the process.
    num_threads: Annotated[int, Field(ge=1, le=256)] = 1


OpponentName = Literal["random", "rollouts", "perfect", "every_line"]


@section(frozen=True)
class EvaluatorConfig:
    """How often the agent is evaluated, and in how many games."""

    # Whole games per evaluation, played side by side.
    episodes: PositiveInt = 20
    # Training steps between the starts of two evaluations.
    interval_steps: PositiveInt = 1_000
    # Simulations per move; 0 takes search.num_simulations.
    num_simulations: NonNegativeInt = 0
    # Two-player games: the agent's opponent. "random" draws legal actions, "rollouts" is OpenSpiel's tree search with
    # random playouts, "perfect" never loses (tic_tac_toe). The agent begins every other game; a return is its outcome:
    # 1, 0 or -1. "every_line" stands for all opponents: every line of play that the agent can meet, as the first and as
    # the second player, counts as an episode (tic_tac_toe).
    opponent: OpponentName = "random"
    # Playouts per move of "rollouts".
    opponent_simulations: PositiveInt = 100


ExternalRole = Literal["none", "actor", "inference", "replay", "reanalyzer", "learner", "evaluator"]


@section(frozen=True)
class TopologyConfig:
    """Numbers of processes and of the lanes between them."""

    actors: Annotated[int, Field(ge=1, le=1024)] = 1
    # Groups of trees searched in lockstep; while the device works for one, the search kernels work for another.
    lanes_per_actor: Annotated[int, Field(ge=1, le=16)] = 2
    # Games of one lane.
    trees_per_lane: Annotated[int, Field(ge=1, le=4096)] = 16
    # Reanalyzers, which run only where reanalyze.fraction is above 0, and the positions that each searches in lockstep.
    reanalyzers: Annotated[int, Field(ge=1, le=1024)] = 1
    lanes_per_reanalyzer: Annotated[int, Field(ge=1, le=16)] = 2
    trees_per_reanalyzer_lane: Annotated[int, Field(ge=1, le=4096)] = 32
    # A role that the supervisor does not start, so that you can start it by hand, for example under a debugger.
    external: ExternalRole = "none"
    # A process that makes no progress for this long, or for five times its longest lap if that is more, is stuck: its
    # stack is written to its log, and it is killed. 0: never.
    silence_s: NonNegativeFloat = 5.0
    # Slots of each ring.
    trajectory_ring_slots: PositiveInt = 64
    batch_ring_slots: PositiveInt = 4


@section(frozen=True)
class StopConfig:
    """Limits of a run; a missing one never stops it."""

    env_steps: PositiveInt | None = None
    learner_steps: PositiveInt | None = None
    # Time in which the run was paused does not count.
    minutes: PositiveFloat | None = None
    # The run is solved once an evaluation's mean return reaches this.
    return_mean: float | None = None


@section(frozen=True)
class TelemetryConfig:
    """Intervals of the reports."""

    # Seconds between two points on the TensorBoard curves.
    interval_s: PositiveFloat = 5.0


@section(frozen=True)
class NetworkConfig:
    """Sizes of the model; which fields count depends on `kind`."""

    kind: Literal["mlp", "residual"] = "mlp"
    # mlp: units of the hidden state and of every layer.
    hidden_size: PositiveInt = 64
    # mlp: hidden layers in each of the three functions.
    num_layers: Annotated[int, Field(ge=1, le=16)] = 1
    # residual: channels of the hidden state.
    num_channels: PositiveInt = 64
    # residual: residual blocks after down-sampling, in dynamics and in prediction.
    num_blocks: NonNegativeInt = 1
    # residual: "atari" halves images four times before the blocks; "none" keeps a board's rows and columns.
    downsample: Literal["atari", "none"] = "atari"
    # residual: how an action enters the dynamics function: "scaled", a plane that holds (action + 1) / A; "planes", a
    # plane for each action, of which the taken one holds 1; "board", a learnt plane for each action, which starts as
    # the place where the action plays.
    action_encoding: Literal["scaled", "planes", "board"] = "scaled"
    # residual, "atari": blocks after the first strided convolution, after the second, and between the two pools.
    # (1, 1, 1) is EfficientZero's size; MuZero's is (2, 3, 3) with num_channels=256 and num_blocks=16.
    downsample_blocks: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] = (1, 1, 1)
    # residual, "atari": the second strided convolution is a residual block, as in EfficientZero.
    residual_downsample: bool = False
    # residual, "atari": the representation sees images less their mean over the first batches.
    mean_image: bool = False
    # The range of hidden states: "min-max" scales each to [0, 1] (MuZero), "none" leaves them (EfficientZero).
    state_scaling: Literal["min-max", "none"] = "min-max"
    # residual: channels and units of the policy, value and reward heads.
    head_channels: PositiveInt = 16
    head_hidden_size: PositiveInt = 32
    # residual: batch normalisation between the two linear layers of every head, as in EfficientZero.
    head_norm: bool = False
    # Value and reward heads: categories over a support, trained by cross-entropy, or one plain number each, trained by
    # squared error (board games, whose values lie between -1 and 1).
    heads: Literal["categorical", "scalar"] = "categorical"
    # Categorical supports: integers from -n to n of the transformed scalar.
    value_support_size: Annotated[int, Field(ge=1, le=3000)] = 300
    reward_support_size: Annotated[int, Field(ge=1, le=3000)] = 300
    # EfficientZero's self-supervised consistency (SimSiam): units of its projections, and of its predictor's middle.
    consistency: bool = False
    consistency_projection_size: PositiveInt = 1024
    consistency_hidden_size: PositiveInt = 512
    # EfficientZero's value prefix: instead of each reward an LSTM predicts the sum of rewards since its last reset,
    # every value_prefix_horizon steps. lstm_size applies to residual networks; an mlp takes hidden_size.
    value_prefix: bool = False
    value_prefix_horizon: Annotated[int, Field(ge=1, le=64)] = 5
    lstm_size: PositiveInt = 512


@section(frozen=True)
class LearnerConfig:
    """The training step, and how often the learner publishes and saves."""

    # Devices of the learner ranks, one rank each: "auto", "cpu", or CUDA indices. Ranks that share a GPU exchange their
    # gradients through the host.
    devices: tuple[int | str, ...] = ("auto",)
    # Intra-op threads of each rank's process.
    num_threads: Annotated[int, Field(ge=1, le=256)] = 1
    # Unrolls per training step over all ranks; each rank takes an equal part.
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 128
    # Dynamics steps unrolled from each sampled position.
    num_unroll_steps: Annotated[int, Field(ge=1, le=64)] = 5
    # "adam" adds weight_decay to the gradient, "adamw" subtracts it from the weights; "sgd" has momentum.
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
    # Weights of the steps of an unroll: "steps", 1 for the root and 1 / num_unroll_steps for each step (MuZero), or
    # "all", 1 / num_unroll_steps for the root too (EfficientZero).
    loss_scale: Literal["steps", "all"] = "steps"
    # Weight of EfficientZero's consistency loss; used where network.consistency is set.
    consistency_loss_weight: NonNegativeFloat = 2.0
    # The steps whose states it compares: "all" of an unroll, or "one" per sample, drawn anew in each training step and
    # weighted by their number, so that the expected loss is the same at a fraction of the cost.
    consistency_steps: Literal["all", "one"] = "all"
    # Augmentation of training images: they are shifted by up to this many pixels in each direction (EfficientZero: 4),
    # and multiplied by 1 + augment_intensity * a normal draw (EfficientZero: 0.05); 0: as they are.
    augment_shift: Annotated[int, Field(ge=0, le=16)] = 0
    augment_intensity: Fraction = 0.0
    # Arithmetic of forward and backward passes; "auto": bfloat16 on GPUs that have it, float32 elsewhere. "tf32" rounds
    # products on GPUs and is float32 on CPUs. Weights and the optimiser are always float32.
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    # Run forward and backward passes through torch.compile.
    compile: bool = False
    # On a GPU, launch the whole training step as one CUDA graph, with or without compile: the same steps, but the host
    # launches one thing, not a thousand. Not for several ranks. If either fails, the learner says so and continues
    # without it.
    cuda_graphs: bool = False
    # The published weights are an exponential average of the trained ones, of which each step keeps this part; 0: the
    # trained weights themselves.
    average_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    # Training steps between two published weights versions, and between two checkpoints.
    publish_interval: PositiveInt = 100
    checkpoint_interval: PositiveInt = 2_000
    # Number of newest checkpoints to keep, and the interval in training steps of those to keep for ever; 0: none.
    keep_checkpoints: PositiveInt = 3
    keep_every: NonNegativeInt = 0
    # Training steps between two diagnostics (entropies, errors per unroll step, gradient norms).
    diagnostics_interval: PositiveInt = 100


@section(frozen=True)
class Profile:
    """Everything that defines a run; the file on disk names only what differs from the defaults."""

    # Every random stream of the run is derived from it.
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    game: GameConfig = Field(default_factory=GameConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    actor: ActorConfig = Field(default_factory=ActorConfig)
    replay: ReplayConfig = Field(default_factory=ReplayConfig)
    reanalyze: ReanalyzeConfig = Field(default_factory=ReanalyzeConfig)
    learner: LearnerConfig = Field(default_factory=LearnerConfig)
    inference: InferenceConfig = Field(default_factory=InferenceConfig)
    evaluator: EvaluatorConfig = Field(default_factory=EvaluatorConfig)
    topology: TopologyConfig = Field(default_factory=TopologyConfig)
    stop: StopConfig = Field(default_factory=StopConfig)
    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig)
