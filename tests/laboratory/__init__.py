"""A laboratory for links: several nodes on one machine, with wires between them that are slow, lossy or cut.

Each node is a network namespace with one device, a tun, and no way out of the machine. A process, the switch
(switch.py), carries the packets between them as its links (link.py) say. This needs root and /dev/net/tun, and no
queueing discipline of the kernel: netem, which would do the same, is a module that not every kernel has.

    with Network(num_nodes=2) as network:
        network.set(1, delay_ms=20, loss=0.01, mbit=100)
        server = network.popen(0, ["python", "server.py", network.address(0)])
        network.cut(1)
        network.mend(1)

The namespaces have no names and no files. They end with the switch and the processes inside, and the switch ends with
the test, or after a bounded time.
"""
