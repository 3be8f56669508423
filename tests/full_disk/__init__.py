"""A full or read-only disk at every call that a writer of the package makes.

`refuse.c` is loaded before libc into a process of its own (`child.py`), which lets every writer of `writers.py` write
with the first call refused, then with the second, and so on, in every way in which a disk refuses.
"""
