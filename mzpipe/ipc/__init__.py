"""The only bytes that two processes share, and the only sockets between them."""
