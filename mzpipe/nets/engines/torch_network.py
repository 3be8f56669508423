"""Networks in torch: on GPUs, or where a profile asks for it. See `torch_flight` for how batches pass the device.

Each network has programs, one for every kind of inference, flight and size of batch: the copy of the request, the
gathering of the parents' rows, the model, the storing of the children's rows, the copy of the answers. On a GPU a
program is a captured graph, so a batch costs the host one launch. Weights are loaded in place, so no program is made
twice.

Shape legend    R rows of a batch   P rows of the pool   F numbers of a row   C columns: 2 + places of a policy
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import FlatWeights, Model
from . import Flight
from .folded import FoldedModel
from .row_model import RowModel
from .torch_flight import Program, Runway, TorchFlight, buckets

# While one batch is on the device, the host makes the next.
_FLIGHTS = 2


class Shared(NamedTuple):
    """What the networks of a server share. The last row of the pool is scratch, for the rows that fill up a batch."""

    runway: Runway
    pool_PF: Tensor
    observation_R: Tensor
    flights: tuple[TorchFlight, ...]
    weights: "WeightsUpload"


class WeightsUpload:
    """Brings flat weights to the device in one copy, for one network after the other."""

    def __init__(self, runway: Runway, size: int) -> None:
        self._on_device = torch.zeros(size, device=runway.device) if runway.is_gpu else None

    def upload(self, weights: np.ndarray) -> Tensor:
        """The weights on the device, until the next call; called on the engine's stream."""
        host = torch.from_numpy(weights)
        if self._on_device is None:
            return host
        # Torch's allocator keeps the pinned copy until the device has read it.
        return self._on_device.copy_(host.pin_memory(), non_blocking=True)


class TorchNetwork:
    """One model on its device; see `Network`."""

    def __init__(self, model: FoldedModel, rows: RowModel, shared: Shared) -> None:
        self._model, self._rows, self._shared = model, rows, shared
        self.flights = shared.flights
        self._programs: dict[tuple[Callable[[TorchFlight, int], None], TorchFlight, int], Program] = {}

    def prepare(self) -> None:
        """Makes every program, the largest first: the others then find its memory."""
        for flight in self.flights:
            flight.clear()
            for size in reversed(buckets(len(flight.source_R))):
                self._program(self._children, flight, size)
                self._program(self._roots, flight, size)

    def load(self, weights: np.ndarray) -> None:
        """Copies the weights into the model; batches that start later use them."""
        with self._shared.runway.queued():
            self._model.load(self._shared.weights.upload(weights))

    def start_roots(self, flight: Flight, observations: Sequence[np.ndarray]) -> None:
        """Initial inference; the observations are copied straight into the static buffer."""
        assert isinstance(flight, TorchFlight)
        row = 0
        with self._shared.runway.queued():
            flight.leaves()
            for observation in observations:
                end = row + len(observation)
                self._shared.observation_R[row:end].copy_(torch.from_numpy(observation), non_blocking=True)
                row = end
            self._queue(self._roots, flight, row)

    def start_children(self, flight: Flight, num_rows: int) -> None:
        """Recurrent inference."""
        assert isinstance(flight, TorchFlight)
        with self._shared.runway.queued():
            flight.leaves()
            self._queue(self._children, flight, num_rows)

    def infer_roots(self, observation_R: np.ndarray, target_R: np.ndarray) -> np.ndarray:
        """Initial inference, as a batch of the first flight."""
        flight, num_rows = self.flights[0], len(target_R)
        flight.target_R[:num_rows] = target_R
        self.start_roots(flight, [observation_R])
        return flight.answers(num_rows)

    def infer_children(self, source_R: np.ndarray, target_R: np.ndarray, action_R: np.ndarray) -> np.ndarray:
        """Recurrent inference, as a batch of the first flight."""
        flight, num_rows = self.flights[0], len(source_R)
        flight.source_R[:num_rows], flight.target_R[:num_rows] = source_R, target_R
        flight.action_R[:num_rows] = action_R
        self.start_children(flight, num_rows)
        return flight.answers(num_rows)

    def _queue(self, work: Callable[[TorchFlight, int], None], flight: TorchFlight, num_rows: int) -> None:
        self._program(work, flight, flight.fill_up(num_rows))()
        flight.left()

    def _program(self, work: Callable[[TorchFlight, int], None], flight: TorchFlight, size: int) -> Program:
        program = self._programs.get((work, flight, size))
        if program is None:
            program = self._programs[work, flight, size] = self._shared.runway.program(lambda: work(flight, size))
        return program

    @torch.inference_mode()
    def _roots(self, flight: TorchFlight, size: int) -> None:
        _, target_R, _ = flight.take_request(size)
        row_RF, answer_RC = self._rows.root(self._shared.observation_R[:size])
        self._rows.store(self._shared.pool_PF, target_R, row_RF)
        flight.give_answer(answer_RC)

    @torch.inference_mode()
    def _children(self, flight: TorchFlight, size: int) -> None:
        source_R, target_R, action_R = flight.take_request(size)
        row_RF, answer_RC = self._rows.child(self._shared.pool_PF.index_select(0, source_R), action_R)
        self._rows.store(self._shared.pool_PF, target_R, row_RF)
        flight.give_answer(answer_RC)


def make_torch_networks(
    model: Model,
    observation: Tensor,
    num_policy_columns: int,
    runway: Runway,
    *,
    count: int,
    pool_rows: int,
    max_batch: int,
    bfloat16: bool,
) -> list[TorchNetwork]:
    """`count` networks over one pool, for batches of up to max_batch observations like this one [1, ...]."""
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    with runway.queued():
        models = [FoldedModel(model, runway.device, dtype) for _ in range(count)]
        rows = [RowModel(each.model, dtype) for each in models]
        shared = Shared(
            runway,
            rows[0].pool(pool_rows + 1, runway.device),
            observation.new_zeros(max_batch, *observation.shape[1:], device=runway.device),
            tuple(TorchFlight(runway, max_batch, 2 + num_policy_columns, pool_rows) for _ in range(_FLIGHTS)),
            WeightsUpload(runway, FlatWeights(model).size),
        )
    return [TorchNetwork(each, each_rows, shared) for each, each_rows in zip(models, rows, strict=True)]
