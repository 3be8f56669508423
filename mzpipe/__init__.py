"""mzpipe: MuZero on one workstation, as a pipeline of processes that share memory."""

__version__ = "0.1.0"
