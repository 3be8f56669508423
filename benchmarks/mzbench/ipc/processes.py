"""A peer of the case `ipc`: sleeps until it is told something, does it, and sleeps again.

Run as `python -m mzbench.ipc.processes RUNTIME INDEX CORE PARENT_PID`.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from mzpipe.ipc.segments import Segments
from mzpipe.runtime.process import follow_supervisor

from .doorbell import answer_futex, answer_idle, answer_socket, call_futex, call_idle, call_socket
from .gather import request_lanes, request_messages
from .kernels import take_into_kernel
from .killed import write_records
from .large import take_large_frames, take_large_records
from .memory import SPECS
from .orders import Action
from .peer import Peer
from .pingpong import answer_pings
from .ring import answer_frames, answer_messages, answer_records, take_frames, take_records
from .sockets import Sockets
from .torn import overwrite_weights
from .weights import pull_weights, take_weights

ACTIONS: dict[Action, Callable[[Peer, int], None]] = {
    Action.ANSWER_PINGS: answer_pings,
    Action.ANSWER_RECORDS: answer_records,
    Action.ANSWER_FRAMES: answer_frames,
    Action.ANSWER_MESSAGES: answer_messages,
    Action.TAKE_RECORDS: take_records,
    Action.TAKE_INTO_KERNEL: take_into_kernel,
    Action.TAKE_FRAMES: take_frames,
    Action.TAKE_LARGE_RECORDS: take_large_records,
    Action.TAKE_LARGE_FRAMES: take_large_frames,
    Action.CALL_IDLE: call_idle,
    Action.ANSWER_IDLE: answer_idle,
    Action.CALL_FUTEX: call_futex,
    Action.ANSWER_FUTEX: answer_futex,
    Action.CALL_SOCKET: call_socket,
    Action.ANSWER_SOCKET: answer_socket,
    Action.REQUEST_LANES: request_lanes,
    Action.REQUEST_MESSAGES: request_messages,
    Action.PULL_WEIGHTS: pull_weights,
    Action.TAKE_WEIGHTS: take_weights,
    Action.OVERWRITE_WEIGHTS: overwrite_weights,
    Action.WRITE_RECORDS: write_records,
}


def main(runtime: str, index: str, core: str, parent_pid: str) -> None:
    """The program: works until it is killed; what went wrong goes to stderr."""
    os.sched_setaffinity(0, [int(core)])
    directory = Path(runtime)
    follow_supervisor(directory, int(parent_pid))
    peer = Peer(int(index), Segments(directory, SPECS), Sockets(directory))
    peer.idle.after(0)  # compiles what waits, before anybody is measured
    peer.orders.sign(peer.index, os.getpid())
    while True:
        order = peer.orders.taken(peer.index)
        if order is None:
            peer.idle.after(0)
            continue
        action, count = order
        ACTIONS[action](peer, count)
        peer.orders.finish(peer.index)


if __name__ == "__main__":
    main(*sys.argv[1:])
