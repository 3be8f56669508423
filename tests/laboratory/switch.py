"""The switch: makes the nodes' namespaces, and carries packets between them.

`python -m tests.laboratory.switch NODES SECONDS` prints one line of JSON, the descriptors of the namespaces: node i is
entered through /proc/PID/fd/DESCRIPTOR. Then it reads lines of JSON, [node, settings], answers each with "done", and
ends with its input, or after SECONDS.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

from tests.laboratory.link import Link

SUBNET = "10.213.77"
_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_MAX_PACKET, _BURST = 65536, 64
# Of an IPv4 header: the last byte of the destination's address.
_VERSION, _NODE_BYTE, _HEADER = 4, 19, 20


class Port:
    """One node: its namespace, its device, and the two directions of its wire."""

    def __init__(self, index: int, libc: ctypes.CDLL) -> None:
        if libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")
        self.namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(self.tun, _TUNSETIFF, struct.pack("16sH22x", b"wire0", _IFF_TUN | _IFF_NO_PI))
        for words in (
            "link set lo up",
            f"address add {SUBNET}.{index + 1}/24 dev wire0",
            "link set wire0 up txqueuelen 1000",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        self.up, self.down = (Link(draws=random.Random(2 * index + way)) for way in range(2))

    def set(self, settings: dict[str, float]) -> None:
        """Changes both directions of the wire."""
        for name, value in settings.items():
            for link in (self.up, self.down):
                if name not in ("delay_ms", "loss", "mbit", "queue_ms", "is_cut"):
                    raise ValueError(name)
                setattr(link, name, value)


class Switch:
    """Carries packets; those on their way lie in a heap, by the time when they come out."""

    def __init__(self, ports: list[Port]) -> None:
        self._ports = ports
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._count = 0

    def run(self, until_s: float) -> None:
        """Carries until the input ends."""
        poller = select.epoll()
        poller.register(0, select.EPOLLIN)
        sources = {port.tun: port for port in self._ports}
        for tun in sources:
            poller.register(tun, select.EPOLLIN)
        while (now_s := time.monotonic()) < until_s:
            next_s = self._under_way[0][0] if self._under_way else until_s
            for descriptor, _ in poller.poll(max(0.0, min(next_s, until_s) - now_s)):
                if descriptor in sources:
                    self._take(sources[descriptor])
                elif not self._obey(sys.stdin.readline()):
                    return
            self._deliver()

    def _obey(self, line: str) -> bool:
        if not line:
            return False
        node, settings = json.loads(line)
        self._ports[node].set(settings)
        sys.stdout.write("done\n")
        sys.stdout.flush()
        return True

    def _take(self, source: Port) -> None:
        now_s = time.monotonic()
        for _ in range(_BURST):
            try:
                packet = os.read(source.tun, _MAX_PACKET)
            except BlockingIOError:
                return
            if len(packet) < _HEADER or packet[0] >> 4 != _VERSION:
                continue  # of IPv6, by which nodes look for neighbours
            node = packet[_NODE_BYTE] - 1
            if not 0 <= node < len(self._ports):
                continue
            at_switch_s = source.up.carry(now_s, len(packet))
            out_s = None if at_switch_s is None else self._ports[node].down.carry(at_switch_s, len(packet))
            if out_s is not None:
                self._count += 1
                heapq.heappush(self._under_way, (out_s, self._count, node, packet))

    def _deliver(self) -> None:
        now_s = time.monotonic()
        while self._under_way and self._under_way[0][0] <= now_s:
            _, _, node, packet = heapq.heappop(self._under_way)
            if self._ports[node].down.is_cut:
                continue
            try:
                os.write(self._ports[node].tun, packet)
            except OSError:  # its queue is full: lost
                continue


def main() -> None:
    """Makes the nodes, says so, and carries."""
    num_nodes, seconds = int(sys.argv[1]), float(sys.argv[2])
    libc = ctypes.CDLL(None, use_errno=True)
    ports = [Port(index, libc) for index in range(num_nodes)]
    sys.stdout.write(json.dumps([port.namespace for port in ports]) + "\n")
    sys.stdout.flush()
    Switch(ports).run(time.monotonic() + seconds)


if __name__ == "__main__":
    main()
