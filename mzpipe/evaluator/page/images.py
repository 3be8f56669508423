"""Images: pictures within the page itself, as PNG in data URIs."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...games import GameSpec
from ...games.watching import draw_frame

# Frames of the stack that are shown, newest last.
_MOST_FRAMES = 8


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A picture uint8 [H, W, 3] as what an `img` takes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def frames_of(observation_S: np.ndarray, spec: GameSpec) -> list[str]:
    """The newest frames of a stacked observation, drawn, oldest first."""
    frames = observation_S.reshape(spec.frame_stack, *spec.frame_shape)
    return [data_uri(draw_frame(frame_F)) for frame_F in frames[-_MOST_FRAMES:]]
