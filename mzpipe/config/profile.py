"""The profile of a complete run, with one section per process."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from ..own_code import OWN_CLASS, is_own_class
from .base import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, section
from .cluster import ClusterConfig
from .game import ArgumentName, GameConfig
from .replay import ReplayConfig
from .search import SearchConfig


@section(frozen=True)
class ActorConfig:
    """How training games are played."""

    trajectory_length: Annotated[int, Field(ge=1, le=4096)] = 64
    """Transitions per trajectory record sent to the replay server."""

    temperatures: tuple[NonNegativeFloat, ...] = (1.0, 0.5, 0.25)
    """Actions are sampled from visits^(1/T); T takes these values, one after the other."""

    temperature_fractions: tuple[Fraction, ...] = (0.0, 0.5, 0.75)
    """The fractions of stop.learner_steps from which the temperatures hold; the first is 0."""

    temperature_moves: NonNegativeInt = 0
    """Moves at an episode's start that are sampled; later the most visited action is played. Boards: 30; 0: all."""

    fast_simulations: NonNegativeInt = 0
    """Playout cap randomisation (KataGo; Wu 2019): moves that are not drawn for a full search have this many
    simulations, no root noise, and no policy target; 0: every search is full."""

    full_search_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 0.25
    """fast_simulations: the part of the moves that have a full search, of search.num_simulations; one draw for a move
    of all games of a lane, which are searched together."""

    resign_below: Annotated[float, Field(ge=-1.0, le=0.0)] | None = None
    """Games of two players whose outcome comes at the end: a player whose searches valued resign_moves own positions in
    a row below this resigns; not set: none does."""

    resign_moves: PositiveInt = 3
    """resign_below: own moves in a row."""

    never_resign_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """resign_below: the part of the training games in which none resigns; they show how often it would have been
    wrong (the curve resign/false)."""


@section(frozen=True)
class ReanalyzeConfig:
    """Searching stored positions again (MuZero Reanalyze; Schrittwieser et al. 2020, appendix H)."""

    fraction: Fraction = 0.0
    """Part of each batch's positions that is searched again before the learner sees it; 0: no reanalyzers run."""

    target_interval: PositiveInt = 200
    """Learner steps between updates of the target network, from whose values targets bootstrap."""

    batches_in_flight: Annotated[int, Field(ge=1, le=64)] = 4
    """Batches that may wait for their fresh targets at the same time."""


@section(frozen=True)
class InferenceConfig:
    """The inference servers, one per device."""

    devices: tuple[int | str, ...] = ("auto",)
    """Devices, one server each: "auto" (every GPU, or the CPU), "cpu", or CUDA indices. A GPU that is named twice, or
    "auto" twice, has two servers."""

    batch_timeout_us: NonNegativeInt = 200
    """How long the oldest pending lane may wait for the others, in microseconds."""

    runtime: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto"
    """The network's library; "auto": torch on GPUs; on CPUs OpenVINO for residual networks, onnxruntime for an mlp."""

    precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    """Arithmetic of the network; "auto": bfloat16 if the device multiplies in it (GPUs since Ampere; with OpenVINO,
    CPUs with AVX-512 BF16 or AMX), else float32. "tf32" rounds products on GPUs and is float32 on CPUs. Torch keeps
    hidden states in bfloat16 too; the others keep them in float32."""

    num_threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Intra-op threads of the process."""


OpponentName = Literal["random", "rollouts", "perfect", "every_line", "engine"]


@section(frozen=True)
class EvaluatorConfig:
    """How often the agent is evaluated, and in how many games."""

    episodes: PositiveInt = 20
    """Whole games per evaluation, played side by side."""

    interval_steps: PositiveInt = 1_000
    """Training steps between the starts of two evaluations."""

    num_simulations: NonNegativeInt = 0
    """Simulations per move; 0 takes search.num_simulations."""

    opponent: OpponentName = "random"
    """Two-player games: the agent's opponent. "random" draws legal actions, "rollouts" is OpenSpiel's tree search with
    random playouts, "perfect" never loses (tic_tac_toe). The agent begins every other game; a return is its outcome:
    1, 0 or -1. "every_line" stands for all opponents: every line of play that the agent can meet, as the first and
    as the second player, counts as an episode (tic_tac_toe). "engine" is the program of opponent_command."""

    opponent_simulations: PositiveInt = 100
    """Playouts per move of "rollouts"; nodes per move of a UCI or USI "engine"."""

    opponent_command: tuple[str, ...] = ()
    """The program of "engine" and its arguments, as in ["gnugo", "--mode", "gtp"] (--allow-env-import). It speaks GTP
    for go, gomoku, othello and hex, UCI for chess, USI for shogi."""

    opponent_setup: tuple[str, ...] = ()
    """Lines for the engine before its first game, as in ["setoption name Threads value 1"]."""

    opponent_seconds: PositiveFloat = 30.0
    """An engine that takes longer for one answer is ended, and the evaluation is given up."""


ExternalRole = Literal["none", "actor", "inference", "replay", "reanalyzer", "learner", "evaluator", "gateway"]


@section(frozen=True)
class TopologyConfig:
    """Numbers of processes and of the lanes between them."""

    actors: Annotated[int, Field(ge=1, le=1024)] = 1
    """Processes that play training games."""

    lanes_per_actor: Annotated[int, Field(ge=1, le=16)] = 2
    """Groups of trees searched in lockstep; while the device works for one, the search kernels work for another."""

    trees_per_lane: Annotated[int, Field(ge=1, le=4096)] = 16
    """Games of one lane."""

    reanalyzers: Annotated[int, Field(ge=1, le=1024)] = 1
    """Processes that search stored positions again; they run only where reanalyze.fraction is above 0."""

    lanes_per_reanalyzer: Annotated[int, Field(ge=1, le=16)] = 2
    """Groups of positions of one reanalyzer, as lanes_per_actor."""

    trees_per_reanalyzer_lane: Annotated[int, Field(ge=1, le=4096)] = 32
    """Positions that a reanalyzer's lane searches in lockstep."""

    external: ExternalRole = "none"
    """A role that the supervisor does not start, so that you can start it by hand, for example under a debugger."""

    silence_s: NonNegativeFloat = 5.0
    """A process that makes no progress for this long, for five times its longest lap, or in your own game for a minute,
    whatever is most, is stuck: its stack is written to its log, and it is killed. 0: never."""

    trajectory_ring_slots: PositiveInt = 64
    """Records that an actor's trajectory ring holds."""

    batch_ring_slots: PositiveInt = 4
    """Batches that a learner rank's ring holds."""


@section(frozen=True)
class StopConfig:
    """Limits of a run; a missing one never stops it."""

    env_steps: PositiveInt | None = None
    """Moves of training games, over all sessions."""

    learner_steps: PositiveInt | None = None
    """Training steps; schedules (temperatures, priority_beta) run over them."""

    minutes: PositiveFloat | None = None
    """Minutes of this session, without those in which it was paused."""

    return_mean: float | None = None
    """The run is solved once an evaluation's mean return reaches this."""


@section(frozen=True)
class TelemetryConfig:
    """The curves of a run, and where they go."""

    interval_s: PositiveFloat = 5.0
    """Seconds between two points on the curves."""

    loggers: tuple[str, ...] = ()
    """Where the curves go besides TensorBoard: "jsonl" (RUN/metrics.jsonl), "trackio", "wandb", "mlflow", or your own
    logger, "module:Class" (docs/loggers.md)."""


NETWORK_KINDS = ("mlp", "residual")
# One of these or module:Class; `validate` says which other names are near.
_NetworkKind = Annotated[
    str, WithJsonSchema({"anyOf": [{"enum": list(NETWORK_KINDS)}, {"type": "string", "pattern": f"^{OWN_CLASS}$"}]})
]


@section(frozen=True)
class NetworkConfig:
    """Sizes of the model; which fields count depends on `kind`."""

    kind: _NetworkKind = "mlp"
    """The layers: "mlp", fully connected, for vectors; "residual", convolutional, for images and boards; or a network
    of your own (`module:Class`, --allow-env-import; docs/networks.md)."""

    arguments: dict[ArgumentName, bool | int | float | str] = field(default_factory=dict, hash=False)
    """A network of your own: keyword arguments of its class, as in { width = 64 }."""

    hidden_size: PositiveInt = 64
    """mlp: units of the hidden state and of every layer."""

    num_layers: Annotated[int, Field(ge=1, le=16)] = 1
    """mlp: hidden layers in each of the three functions."""

    num_channels: PositiveInt = 64
    """residual: channels of the hidden state."""

    num_blocks: NonNegativeInt = 1
    """residual: residual blocks after down-sampling, in dynamics and in prediction."""

    downsample: Literal["atari", "none"] = "atari"
    """residual: "atari" halves images four times before the blocks; "none" keeps a board's rows and columns."""

    action_encoding: Literal["scaled", "planes", "board"] = "scaled"
    """residual: how an action enters the dynamics function: "scaled", a plane that holds (action + 1) / A; "planes", a
    plane for each action, of which the taken one holds 1; "board", a learnt plane for each action, which starts as
    the place where the action plays."""

    action_parts: tuple[PositiveInt, ...] = ()
    """mlp: the sizes of the parts that an action combines, the last changing fastest, as in [2, 26, 26] for backgammon:
    which die first, and two points. What is learnt of a part is shared by all actions that have it; actions beyond the
    product, as a pass, have none."""

    action_head: Literal["squashed-gaussian", "bins"] = "squashed-gaussian"
    """Sampled actions (game.gymnasium.sampled_actions): the distribution of each number of an action: tanh of a normal
    one, or "bins", one of action_bins values, evenly from its lowest to its highest."""

    action_bins: Annotated[int, Field(ge=2, le=256)] = 11
    """Sampled actions, "bins": the values that each number takes."""

    sample_temperature: Annotated[float, Field(ge=0.1, le=10.0)] = 1.0
    """Sampled actions: candidates are drawn from the policy at this temperature. Above 1 they spread more widely, and
    the prior of the search takes that back."""

    downsample_blocks: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] = (1, 1, 1)
    """residual, "atari": blocks after the first strided convolution, after the second, and between the two pools.
    [1, 1, 1] is EfficientZero's size; MuZero's is [2, 3, 3] with num_channels=256 and num_blocks=16."""

    residual_downsample: bool = False
    """residual, "atari": the second strided convolution is a residual block, as in EfficientZero."""

    mean_image: bool = False
    """residual, "atari": the representation sees images less their mean over the first batches."""

    state_scaling: Literal["min-max", "none"] = "min-max"
    """The range of hidden states: "min-max" scales each to [0, 1] (MuZero), "none" leaves them (EfficientZero)."""

    head_channels: PositiveInt = 16
    """residual: channels of the policy, value and reward heads."""

    head_hidden_size: PositiveInt = 32
    """residual: units of the hidden layer of every head."""

    head_norm: bool = False
    """residual: a normalisation between the two linear layers of every head, as in EfficientZero."""

    dynamics_norm: Literal["auto", "batch", "layer"] = "auto"
    """residual, or value_prefix: how the dynamics, its reward head and the value prefix normalise: "batch", over the
    batch of one step of the unroll, which plays another network than it trains where the steps differ much, as in
    games of few moves; "layer", each sample over itself; "auto" is "layer" with chance_codes, else "batch"."""

    heads: Literal["categorical", "scalar"] = "categorical"
    """Value and reward heads: categories over a support, trained by cross-entropy, or one plain number each, trained by
    squared error (board games, whose values lie between -1 and 1)."""

    value_support_size: Annotated[int, Field(ge=1, le=3000)] = 300
    """Categorical heads: the value's support is the integers from -n to n of the transformed scalar."""

    reward_support_size: Annotated[int, Field(ge=1, le=3000)] = 300
    """The same for rewards."""

    consistency: bool = False
    """EfficientZero's self-supervised consistency (SimSiam) between predicted and observed states."""

    consistency_projection_size: PositiveInt = 1024
    """Units of the consistency's projections."""

    consistency_hidden_size: PositiveInt = 512
    """Units in the middle of the consistency's predictor."""

    reconstruction: bool = False
    """A decoder reads the observation back from each state of an unroll, so that the model learns what actions do
    before values tell (Scholz et al. 2021; Anand et al. 2022): for vectors and boards, not for down-sampled images."""

    value_prefix: bool = False
    """EfficientZero's value prefix: instead of each reward an LSTM predicts the sum of rewards since its last reset."""

    value_prefix_horizon: Annotated[int, Field(ge=1, le=64)] = 5
    """Steps between two resets of the value prefix."""

    lstm_size: PositiveInt = 512
    """residual: units of the value prefix's LSTM; an mlp takes hidden_size."""

    chance_codes: Annotated[int, Field(ge=0, le=1024)] = 0
    """Stochastic MuZero (docs/chance.md): the number of codes for what chance may do after an action; 0: the model is
    that of a game without chance. At least the outcomes of one action, better twice as many (the paper: 32)."""

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own class."""
        return is_own_class(self.kind)

    @property
    def sees_next(self) -> bool:
        """Whether training looks at the observations after the actions of an unroll."""
        return self.consistency or self.reconstruction or self.chance_codes > 0

    @property
    def steps_are_normalised_alone(self) -> bool:
        """Whether `dynamics_norm` is, or comes to, "layer"."""
        return self.dynamics_norm == "layer" or (self.dynamics_norm == "auto" and self.chance_codes > 0)


@section(frozen=True)
class LearnerConfig:
    """The training step, and how often the learner publishes and saves."""

    devices: tuple[int | str, ...] = ("auto",)
    """Devices of the learner ranks, one rank each: "auto", "cpu", or CUDA indices. Ranks that share a GPU exchange
    their gradients through the host."""

    num_threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Intra-op threads of each rank's process."""

    batch_size: Annotated[int, Field(ge=1, le=65536)] = 128
    """Unrolls per training step over all ranks; each rank takes an equal part."""

    num_unroll_steps: Annotated[int, Field(ge=1, le=64)] = 5
    """Dynamics steps unrolled from each sampled position."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """The update rule: "adam" adds weight_decay to the gradient, "adamw" subtracts it from the weights; "sgd" has
    momentum."""

    learning_rate: PositiveFloat = 1e-3
    """Step size of the optimiser, after the warm-up and before the decay."""

    lr_schedule: Literal["exponential", "step"] = "exponential"
    """How the learning rate falls: "exponential", a little at every step; "step", at once every lr_decay_steps."""

    lr_decay_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Factor on the learning rate per lr_decay_steps; 1: it stays."""

    lr_decay_steps: PositiveInt = 100_000
    """Training steps in which the learning rate falls by lr_decay_rate."""

    warmup_steps: NonNegativeInt = 0
    """Steps over which the learning rate rises linearly from zero."""

    momentum: Fraction = 0.9
    """Momentum of "sgd"."""

    weight_decay: NonNegativeFloat = 1e-4
    """Weight decay; see optimizer for how it is applied."""

    max_grad_norm: NonNegativeFloat = 5.0
    """Global norm to which gradients are clipped; 0 leaves them as they are."""

    value_loss_weight: NonNegativeFloat = 0.25
    """Weight of the value loss; the policy's and the reward's are 1."""

    entropy_loss_weight: NonNegativeFloat = 0.005
    """Sampled actions: weight of the policy's entropy, which the loss raises, so that the draws stay wide enough to
    find better actions (LightZero: 0.005). Not used for lists of actions."""

    loss_scale: Literal["steps", "all"] = "steps"
    """Weights of the steps of an unroll: "steps", 1 for the root and 1 / num_unroll_steps for each step (MuZero), or
    "all", 1 / num_unroll_steps for the root too (EfficientZero)."""

    consistency_loss_weight: NonNegativeFloat = 2.0
    """Weight of EfficientZero's consistency loss; used where network.consistency is set."""

    reconstruction_loss_weight: NonNegativeFloat = 1.0
    """Weight of the reconstruction's squared error, summed over the numbers of an observation; used where
    network.reconstruction is set."""

    commitment_loss_weight: NonNegativeFloat = 0.25
    """Weight of the loss that keeps the encoder of chance near the codes that it chooses; used where
    network.chance_codes is set."""

    consistency_steps: Literal["all", "one"] = "all"
    """The steps whose states it compares: "all" of an unroll, or "one" per sample, drawn anew in each training step and
    weighted by their number, so that the expected loss is the same at a fraction of the cost."""

    augment_shift: Annotated[int, Field(ge=0, le=16)] = 0
    """Training images are shifted by up to this many pixels in each direction (EfficientZero: 4); 0: not."""

    augment_intensity: Fraction = 0.0
    """Training images are multiplied by 1 + this * a normal draw (EfficientZero: 0.05); 0: not."""

    symmetries: bool = False
    """Each sample is turned by a symmetry of the game, drawn anew in every training step: board games except chess and
    shogi have them, and a game of your own may declare some (docs/games.md)."""

    precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    """Arithmetic of forward and backward passes; "auto": bfloat16 on GPUs that have it, float32 elsewhere. "tf32"
    rounds products on GPUs and is float32 on CPUs. Weights and the optimiser are always float32."""

    compile: bool = False
    """Run forward and backward passes through torch.compile."""

    cuda_graphs: bool = False
    """On a GPU, launch the whole training step as one CUDA graph, with or without compile: the same steps, but the host
    launches one thing, not a thousand. Not for several ranks. If either fails, the learner says so and continues
    without it."""

    average_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """The published weights are an exponential average of the trained ones, of which each step keeps this part; 0: the
    trained weights themselves."""

    publish_interval: PositiveInt = 100
    """Training steps between two published weights versions."""

    checkpoint_interval: PositiveInt = 2_000
    """Training steps between two checkpoints."""

    keep_checkpoints: PositiveInt = 3
    """Number of newest checkpoints to keep."""

    keep_every: NonNegativeInt = 0
    """Training steps between two checkpoints that are kept for ever; 0: none."""

    diagnostics_interval: PositiveInt = 100
    """Training steps between two diagnostics (entropies, errors per unroll step, gradient norms)."""

    init_from: str = ""
    """The weights with which a new run begins: those of a run's directory (its best checkpoint, else its latest), of a
    trained run that comes with mzpipe (`cartpole`), of a checkpoint's directory, or of a .safetensors file; "": random
    ones. A run that resumes has its own."""

    init_parts: tuple[str, ...] = ()
    """The parts of init_from that are taken, as the names of tensors begin: ["representation", "prediction.value"];
    []: all. What is taken must fit, tensor by tensor; the rest of the model is new."""


@section(frozen=True)
class Profile:
    """Everything that defines a run; the file on disk names only what differs from the defaults."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Every random stream of the run is derived from it."""

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
    cluster: ClusterConfig = Field(default_factory=ClusterConfig)
    stop: StopConfig = Field(default_factory=StopConfig)
    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig)

    @property
    def num_unroll_steps(self) -> int:
        """The steps of an unroll: none where the search walks the game's own rules, so that no dynamics is trained."""
        return 0 if self.search.model == "rules" else self.learner.num_unroll_steps
