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
    # residual: channels and units of the policy, value and reward heads.
    head_channels: PositiveInt = 16
    head_hidden_size: PositiveInt = 32
    # Categorical supports: integers from -n to n of the transformed scalar.
    value_support_size: Annotated[int, Field(ge=1, le=3000)] = 300
    reward_support_size: Annotated[int, Field(ge=1, le=3000)] = 300
