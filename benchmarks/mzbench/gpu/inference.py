"""The section `inference`: batches of children of many sizes, operation by operation, captured, and the bare graph.

`eager` and `captured` are what an inference server does with a batch: fill the request, start, look whether it has
landed, with two batches on their way. `bare` is the captured graph, replayed without a host that does anything else.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from mzpipe.nets import Model, device_has_bfloat16, use_device
from mzpipe.nets.engines.torch_flight import Program, Runway
from mzpipe.nets.engines.torch_network import TorchNetwork, make_torch_networks

from ..learner.work import RESIDUAL, Work
from ..timing import Contestant, turn_about
from .lines import CAPTURED, Bound, Line, Setting
from .works import drawn_observations, drawn_weights, efficientzero, observation_shape, works

_ROWS, _SMALL_ROWS = (16, 32, 64, 128, 256, 512, 1024, 2048), (1, 4)
_BATCHES = 16
_BOUNDS = {
    128: (Bound("bare_us", "estimate for an H200: 35 to 110 kernels in a graph", most=150.0, is_speed=True),),
    1024: (
        Bound("eager_per_s", "estimate for an H200: 100 launches of 5 to 6 us", least=8e5, is_speed=True),
        Bound("bare_us", "estimate for an H200: 0.25 to 0.35 ms", most=350.0, is_speed=True),
        Bound("captured_per_s", "goal: a million simulations a second", least=1e6, is_speed=True),
        Bound("captured_over_bare", "goal: the host costs a tenth", least=0.9, is_speed=True),
    ),
}


class Eager(Runway):
    """A runway on which nothing is captured."""

    def program(self, run: Program) -> Program:
        """The operations themselves."""
        return run


class Recording(Runway):
    """A runway that keeps the program it made last."""

    last: Program

    def program(self, run: Program) -> Program:
        """A captured graph."""
        self.last = super().program(run)
        return self.last


def measure(setting: Setting) -> Iterator[Line]:
    """Every size of batch, for EfficientZero's network and a plain one."""
    plain = next(work for work in works(setting) if work.name == RESIDUAL.name)
    has_bfloat16 = device_has_bfloat16(torch.device(setting.device))
    for work, bfloat16 in ((efficientzero(setting), False), (efficientzero(setting), True), (plain, True)):
        if has_bfloat16 or not bfloat16:
            yield from _compared(work, bfloat16, setting)


def _compared(work: Work, bfloat16: bool, setting: Setting) -> Iterator[Line]:
    use_device(setting.device, "float32")
    sizes, device, refused = setting.pick(_ROWS, _SMALL_ROWS), torch.device(setting.device), list[str]()
    recording = Recording(device, refused.append)
    eager, captured = (loaded_network(work, runway, sizes[-1], bfloat16) for runway in (Eager(device), recording))
    name = f"{work.name} {'bfloat16' if bfloat16 else 'float32'}"
    for num_rows in sizes:
        one, other = Batches(eager, num_rows), Batches(captured, num_rows)
        other.run()  # makes the program
        every = [
            *(Contestant("eager", one.run), Contestant("captured", other.run)),
            Contestant("bare", _replayed(recording)),
        ]
        timings = turn_about(every, rounds=setting.pick(3, 1)).timings
        numbers = {f"{each}_us": timing.seconds / _BATCHES * 1e6 for each, timing in timings.items()}
        for each in ("eager", "captured"):
            numbers[f"{each}_per_s"] = num_rows * _BATCHES / timings[each].seconds
        numbers["captured_over_bare"] = timings["bare"].seconds / timings["captured"].seconds
        # The bounds are for a card's own type.
        yield Line(f"{name}, {num_rows} rows", numbers, _BOUNDS.get(num_rows, ()) if bfloat16 else ())
    yield Line(f"{name}, captures", {"refused": float(len(refused))}, (CAPTURED,), " ".join(refused))


def loaded_network(work: Work, runway: Runway, max_rows: int, bfloat16: bool) -> TorchNetwork:
    """A network with drawn weights, and a pool for as many parents and children as rows."""
    (network,) = make_torch_networks(
        Model(work.network, observation_shape(work), work.num_actions),
        torch.from_numpy(drawn_observations(work, 1)),
        work.num_actions,
        runway,
        count=1,
        pool_rows=2 * max_rows,
        max_batch=max_rows,
        bfloat16=bfloat16,
    )
    network.load(drawn_weights(work, 1))
    return network


class Batches:
    """Batches of children, one after another, as an inference server starts and answers them."""

    def __init__(self, network: TorchNetwork, num_rows: int) -> None:
        self._network, self._num_rows = network, num_rows
        self._source_R, self._target_R = np.arange(num_rows), np.arange(num_rows) + num_rows
        self._action_R = np.zeros(num_rows, np.int32)

    def run(self) -> None:
        """Starts them, and waits for the last."""
        flights, rows = self._network.flights, slice(self._num_rows)
        for number in range(_BATCHES):
            flight = flights[number % len(flights)]
            while not flight.landed():
                pass
            flight.source_R[rows], flight.target_R[rows] = self._source_R, self._target_R
            flight.action_R[rows] = self._action_R
            self._network.start_children(flight, self._num_rows)
        for flight in flights:
            while not flight.landed():
                pass


def _replayed(runway: Recording) -> Callable[[], None]:
    """Replays the graph that was made last as often as there are batches."""
    program = runway.last

    def replay() -> None:
        with runway.queued():
            for _ in range(_BATCHES):
                program()
        torch.cuda.synchronize(runway.device)

    return replay
