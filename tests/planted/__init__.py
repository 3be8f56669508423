"""Bugs planted one at a time in a copy of the package, to see whether a test notices each: `python -m tests.planted`.

A suite that passes says little about what it would notice. Every entry of `bugs` is a small mistake of the kind that
people really make, with the claim that it breaks and the modules of tests that should notice it.
"""
