"""What lies below the roles: the bare model, and a bare ring.

Shape legend    R rows of a batch
"""

import time

import numpy as np
import torch

from ...config import Profile
from ...ipc.dataplane import DataPlane, RingSpec
from ...ipc.ring import RingReader, RingWriter
from ...nets import Model, place_model
from .noise import fill_frames, fill_trajectory


class BareModel:
    """The model in a loop on batches that are there already: as many rows as an inference server's lanes have together.

    A root inference is followed by as many recurrent ones as a search has simulations, each with the scalar rewards
    and values that its answer consists of.
    """

    def __init__(self, profile: Profile, plane: DataPlane, server: int, device: str) -> None:
        shape = plane.shape
        owners = [owner.role for owner in shape.lane_clients(server) if owner.role == "actor"]
        self._num_rows = sum(shape.trees_of(role) for role in owners)
        self._num_simulations = profile.search.num_simulations
        model = Model(profile.network, shape.observation_shape, shape.num_actions)
        self._model, rng = place_model(model, torch.device(device)).eval(), np.random.default_rng(0)
        observation = np.zeros((self._num_rows, *shape.observation_shape), shape.frame_dtype)
        fill_frames(observation, rng)
        self._observation = torch.from_numpy(observation).to(device)
        self._action_R = torch.from_numpy(rng.integers(0, shape.num_actions, self._num_rows, np.int32)).to(device)
        self.items, self.seconds = 0, 0.0

    @torch.inference_mode()
    def run(self, seconds: float) -> None:
        """Whole searches' worth of inferences for about so long."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < seconds:
            self._search()
        self.seconds += time.monotonic() - began_s

    def _search(self) -> None:
        model, output = self._model, self._model.initial_inference(self._observation)
        for _ in range(self._num_simulations):
            output = model.recurrent_inference(output.hidden_state, self._action_R)
            model.reward(output)
            model.value(output)
        if self._action_R.is_cuda:
            torch.cuda.synchronize(self._action_R.device)
        self.items += (1 + self._num_simulations) * self._num_rows


def transitions_through_ring(plane: DataPlane, seconds: float) -> float:
    """Transitions/s through an actor's ring, writer and reader in turn: built in a slot, sealed, checked, released."""
    ring, spec = plane.trajectory_ring(0), plane.shape.segments()["trajectory-0"]
    assert isinstance(spec, RingSpec)
    record = spec.slot.views(bytearray(spec.slot.nbytes))
    fill_trajectory(record, np.random.default_rng(0))
    writer, reader, records = RingWriter(ring), RingReader(ring), 0
    began_s = time.monotonic()
    while (elapsed_s := time.monotonic() - began_s) < seconds:
        slot = writer.claim()
        assert slot is not None
        for name, values in record.items():
            slot[name][...] = values
        writer.commit()
        assert reader.peek() is not None
        reader.release()
        records += 1
    return records * plane.shape.trajectory_length / elapsed_s
