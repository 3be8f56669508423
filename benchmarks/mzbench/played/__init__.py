"""The network that plays against the one that is trained, on real positions of Pong; see benchmarks/README.md."""
