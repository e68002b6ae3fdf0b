"""Elementary functions whose bits do not depend on the host.

The C library's and NumPy's versions are chosen at run time by what the processor can do, and
differ in the last bit. These use only operations that IEEE 754 fixes (add, subtract, multiply,
divide, scaling by a power of two), in float64, written out in one order. exp and log stay within 2
units in the last place of the C library's (`tests/test_elementary.py`).

Reduction and coefficients: exp by ``x = k ln 2 + r``, ``|r| <= ln 2 / 2``, ln 2 split in two parts
(Cody and Waite 1980, chapter 6), Taylor's polynomial of degree 13; log by ``m 2^k`` with m in
``[sqrt 1/2, sqrt 2)`` and the series of ``2 artanh((m - 1) / (m + 1))``.
cos_pi by Taylor's polynomials of cos and sin on ``[0, pi/4]``; power by repeated squaring.
"""

import math

from numba import njit

LN2_HIGH = 6.93147180369123816490e-01  # ln 2 to 33 bits: k * LN2_HIGH is exact for |k| < 2^20
LN2_LOW = 1.90821492927058770002e-10
INVERSE_LN2 = 1.44269504088896338700e00
EXP_LARGEST = 709.782712893384  # the last argument whose exponential is finite
EXP_UNDERFLOW = -745.2
EXP_COEFFICIENTS = tuple(1.0 / math.factorial(n) for n in range(13, 1, -1))
SQRT_HALF = 0.7071067811865476


@njit(cache=True)
def exp(x: float) -> float:
    """E to the power of the float64 `x`."""
    if not EXP_UNDERFLOW < x <= EXP_LARGEST:
        return x if x != x else (math.inf if x > 0 else 0.0)
    k = math.floor(x * INVERSE_LN2 + 0.5)
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    series = 0.0
    for c in EXP_COEFFICIENTS:
        series = series * r + c
    return math.ldexp(1.0 + (r + r * r * series), int(k))


@njit(cache=True)
def log(x: float) -> float:
    """Natural logarithm of the float64 `x` > 0; -inf at 0, nan below."""
    if not 0.0 < x < math.inf:
        return x if x > 0.0 or x != x else (-math.inf if x == 0.0 else math.nan)
    m, k = math.frexp(x)
    if m < SQRT_HALF:
        m, k = 2.0 * m, k - 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    series = 0.0
    for n in range(23, 1, -2):
        series = z * (series + 1.0 / n)
    return k * LN2_HIGH + (2.0 * s + (2.0 * s * series + k * LN2_LOW))


def cos_pi(x: float) -> float:
    """cos(π x) for 0 <= x <= 1, the same bits on every host; absolute error below 2.3e-16.

    Taylor polynomials of cos and sin on [0, π/4] (first terms left out: 3e-21 and 8e-20), to which
    cos(π x) = sin(π (1/2 - x)) = -cos(π (1 - x)) lead back; both subtractions from x are exact.
    """
    if x <= 0.25:
        return _cos(math.pi * x)
    if x < 0.75:
        return _sin(math.pi * (0.5 - x))
    return -_cos(math.pi * (1 - x))


def power(base: float, exponent: int) -> float:
    """`base ** exponent` by squaring, exponent >= 0: multiplications in a fixed order, no libm."""
    result, base = 1.0, float(base)
    while exponent:
        if exponent % 2:
            result *= base
        base *= base
        exponent //= 2
    return result


def _cos(y: float) -> float:
    """Return 1 - y²/2! + y⁴/4! - ... - y¹⁸/18! by Horner's rule, |y| <= π/4."""
    square, value = y * y, 1.0
    for k in range(18, 0, -2):
        value = 1 - square / (k * (k - 1)) * value
    return value


def _sin(y: float) -> float:
    """Return y - y³/3! + y⁵/5! - ... + y¹⁷/17! by Horner's rule, |y| <= π/4."""
    square, value = y * y, 1.0
    for k in range(17, 1, -2):
        value = 1 - square / (k * (k - 1)) * value
    return y * value
