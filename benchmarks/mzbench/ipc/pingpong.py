"""The ping-pong of one cache line between two processes: the shortest time that a message between them can take.

    ball:  | there ...pad 128 | back ...pad 128 |

Two kernels, one in each process, store a number and spin until it comes back. A kernel gives up after _LOOK_NS
without an answer, so that its process can check on the other one; the next call continues from there.
"""

from numba import njit

from mzpipe.ipc import atomics
from mzpipe.ipc.layout import WORDS_PER_LINE

from .peer import Peer
from .peers import Peers

_PING, _PONG = 0, WORDS_PER_LINE
_LOOK_NS = 20_000_000
# The clock is read once in this many looks at the word.
_SPINS = 1_000


@njit(cache=True, nogil=True)
def _await_word(words, place, number):
    """Whether the word has become `number`; False after _LOOK_NS."""
    start_ns = atomics.monotonic_ns()
    while atomics.monotonic_ns() - start_ns < _LOOK_NS:
        for _ in range(_SPINS):
            # SYNC ball.throw acquire: nothing but the word itself
            if atomics.load_acquire(words, place) == number:
                return True
            atomics.pause_core()
        atomics.yield_core()
    return False


@njit(cache=True, nogil=True)
def ping_kernel(words, last):
    """Makes round trips until `last` comes back; returns the last number that did."""
    number = words[_PONG]
    while number < last:
        # SYNC ball.throw release: nothing but the word itself
        atomics.store_release(words, _PING, number + 1)
        if not _await_word(words, _PONG, number + 1):
            return number
        number += 1
    return number


@njit(cache=True, nogil=True)
def pong_kernel(words, last):
    """The other side of ping_kernel."""
    number = words[_PONG]
    while number < last:
        if not _await_word(words, _PING, number + 1):
            return number
        number += 1
        # SYNC ball.throw release: nothing but the word itself
        atomics.store_release(words, _PONG, number)
    return number


def answer_pings(peer: Peer, last: int) -> None:
    """Runs in the peer: returns the ball up to the number `last`."""
    words = peer.segments.arrays("ball")["words"]
    while pong_kernel(words, last) < last:
        peer.look()


def play(peers: Peers, count: int) -> None:
    """Makes this many round trips between the caller and the first peer."""
    words = peers.segments.arrays("ball")["words"]
    last = int(words[_PONG]) + count
    peers.tell(0, answer_pings, last)
    while ping_kernel(words, last) < last:
        peers.look()
    peers.finish(0)
