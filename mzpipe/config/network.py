"""The three functions: representation, dynamics, prediction."""

from typing import Annotated, Literal

from pydantic import Field

from .base import NonNegativeInt, PositiveInt, section


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
    # residual: how an action enters the dynamics function: "scaled", a plane that holds (action + 1) / A; "board", a
    # plane of its own for each action, which begins as the place where the action plays and is learnt from there.
    action_encoding: Literal["scaled", "board"] = "scaled"
    # residual, "atari": blocks after the first strided convolution, after the second, and between the two pools.
    # (1, 1, 1) is EfficientZero's size; MuZero's is (2, 3, 3) with num_channels=256 and num_blocks=16.
    downsample_blocks: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] = (1, 1, 1)
    # residual: channels and units of the policy, value and reward heads.
    head_channels: PositiveInt = 16
    head_hidden_size: PositiveInt = 32
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
    # EfficientZero's value prefix: the sum of rewards since the last reset in place of each reward, by an LSTM that is
    # reset every value_prefix_horizon steps. lstm_size holds for residual networks; an mlp takes hidden_size.
    value_prefix: bool = False
    value_prefix_horizon: Annotated[int, Field(ge=1, le=64)] = 5
    lstm_size: PositiveInt = 512
