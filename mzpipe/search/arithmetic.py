"""Arithmetic whose bits depend on neither the platform, the compiler nor the order of a sum.

Three tools, made only of additions and multiplications of floats and of integer operations:

    exp_nonpositive   e^x for x <= 0, without the platform's libm; relative error below 3e-7
    order             an int32 that sorts as its float32 does, so that a maximum is an integer maximum
    to_fixed          a weight as a multiple of 2^-46, so that a sum is an integer sum

Integer maxima and sums are associative, so the compiler may take them eight at a time and still give the bits of the
plain loop; fastmath stays off, and nothing here is contracted into fused operations.

Oracle      tests/search/test_arithmetic.py, against float64
"""

import numpy as np

from .compiled import expression

_F, _I, _D = np.float32, np.int32, np.float64

_LOG2_E = _F(1.44269504)
# Adding 1.5 * 2^23 rounds to an integer, which is then the low bits of the float.
_ROUNDER = _F(12582912.0)
_ROUNDER_BITS = _I(0x4B400000)
# ln 2 in two parts; the first is exact in few bits (Cody and Waite 1980).
_LN2_HIGH, _LN2_LOW = _F(0.693145751953125), _F(1.428606765330187e-06)
_TAYLOR_2, _TAYLOR_3, _TAYLOR_4 = _F(1 / 2), _F(1 / 6), _F(1 / 24)
_TAYLOR_5, _TAYLOR_6 = _F(1 / 120), _F(1 / 720)
_ONE = _F(1.0)
_EXPONENT_BIAS, _MANTISSA_BITS = _I(127), _I(23)
_SIGN_SHIFT, _ALL_BUT_SIGN = _I(31), _I(0x7FFFFFFF)

# e^x stays a normal float32 down to here; anything lower counts as this.
LEAST_EXPONENT = _F(-87.0)
# Fixed-point units in a weight of 1: the finest that leaves room for the sum of 65,534 weights in an int64.
FIXED_ONE = _F(2.0**46)
# Doubles from 64 to 128 lie 2^-46 apart, so adding 96 rounds to the unit, which is then the low bits of the double.
_FIXED_ROUNDER = _D(96.0)
_FIXED_ROUNDER_BITS = np.int64(0x4058000000000000)


@expression
def exp_nonpositive(x):
    """e^x in float32, for x <= 0; e^-87 (1.6e-38) for every x below -87."""
    x = x if x > LEAST_EXPONENT else LEAST_EXPONENT
    rounded = np.float32(x * _LOG2_E + _ROUNDER)
    whole = rounded - _ROUNDER
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    fraction = _ONE + r * (_ONE + r * (_TAYLOR_2 + r * (_TAYLOR_3 + r * (_TAYLOR_4 + r * (_TAYLOR_5 + r * _TAYLOR_6)))))
    power = np.int32((rounded.view(np.int32) - _ROUNDER_BITS + _EXPONENT_BIAS) << _MANTISSA_BITS)
    return fraction * power.view(np.float32)


@expression
def order(x):
    """An int32 that is greater exactly where the float32 is; -0.0 comes just before 0.0."""
    bits = np.float32(x).view(np.int32)
    return np.int32(bits ^ ((bits >> _SIGN_SHIFT) & _ALL_BUT_SIGN))


@expression
def from_order(key):
    """Returns the float32 that `order` was made from."""
    bits = np.int32(key)
    return np.int32(bits ^ ((bits >> _SIGN_SHIFT) & _ALL_BUT_SIGN)).view(np.float32)


@expression
def to_fixed(weight):
    """Nearest multiple of 2^-46 to a float32 weight in [0, 32), as an int64 count of them."""
    rounded = np.float64(np.float64(weight) + _FIXED_ROUNDER)
    return rounded.view(np.int64) - _FIXED_ROUNDER_BITS
