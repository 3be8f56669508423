"""The version of mzpipe; apart from the package, whose other names bring training with them."""

__version__ = "0.1.0"
