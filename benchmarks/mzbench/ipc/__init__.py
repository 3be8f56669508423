"""The case `ipc`: rings, doorbells, lanes and weights between processes."""
