"""Encodes pictures to an mp4 (PyAV, the extra `video`) or gif (Pillow); the file appears whole or not at all."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import InputOutputError, UsageError
from ...extras import how_to_install, is_installed
from ...runs.files import replacing

Add: TypeAlias = Callable[[NDArray[np.uint8]], None]
_GIF_COLOURS, _GIF_TICK_MS = 128, 10


def refuse_format(path: Path) -> None:
    """Raises UsageError, before any game is played, for a file that cannot be encoded here."""
    if path.suffix not in _FORMATS:
        raise UsageError(f"--output {path}: name a file that ends in .mp4 or .gif")
    if path.suffix == ".mp4" and not is_installed("av"):
        raise UsageError(f"--output {path}: mp4 needs PyAV: {how_to_install('av')}, or name a file that ends in .gif")


@contextlib.contextmanager
def open_video(path: Path, size: tuple[int, int], fps: int, comment: str) -> Iterator[Add]:
    """Yields a function that adds a picture, uint8 [H, W, 3]; the file gets its name when the block ends without error.

    The size is (W, H), both even. The comment goes into the file's metadata. Raises InputOutputError.
    """
    try:
        with replacing(path) as draft, _FORMATS[path.suffix](draft, size, fps, comment) as add:
            yield add
    except OSError as error:
        raise InputOutputError(f"--output {path}: cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def _mp4(path: Path, size: tuple[int, int], fps: int, comment: str) -> Iterator[Add]:
    import av

    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["comment"] = comment
        stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"

        def add(picture: NDArray[np.uint8]) -> None:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))

        yield add
        container.mux(stream.encode())


@contextlib.contextmanager
def _gif(path: Path, size: tuple[int, int], fps: int, comment: str) -> Iterator[Add]:
    pictures: list[Image.Image] = []

    def add(picture: NDArray[np.uint8]) -> None:
        assert picture.shape == (*reversed(size), 3)
        pictures.append(Image.fromarray(picture).quantize(_GIF_COLOURS))

    yield add
    duration_ms = max(2, round(1000 / fps / _GIF_TICK_MS)) * _GIF_TICK_MS
    first, *others = pictures
    first.save(path, "GIF", save_all=True, append_images=others, duration=duration_ms, loop=0, comment=comment.encode())


_FORMATS = {".mp4": _mp4, ".gif": _gif}
