"""The only bytes two processes share, and the only sockets between them."""
