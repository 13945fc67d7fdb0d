"""Numbers that several schemas allow together: bounds, steps, and which of them are left."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

_MOST_LISTED = 64  # numbers that are gone through one by one

_Bound = tuple[Fraction, bool]  # and whether it is itself left out


def integers(have: list[dict[Any, Any]], excluded: set[Any]) -> str:
    """Why no integer fits; '' where one may."""
    low, high = _range(have)
    if low is None or high is None:
        return ""
    step = _step(have) or 1
    least = math.floor(low[0]) + 1 if low[1] else math.ceil(low[0])
    most = math.ceil(high[0]) - 1 if high[1] else math.floor(high[0])
    first = -(-least // step) * step
    some = range(first, min(most, first + step * _MOST_LISTED) + 1, step)
    if not some:
        multiple = f" and a multiple of {step}" if step > 1 else ""
        return f"no integer is at least {least} and at most {most}{multiple}"
    if some[-1] + step > most and all(number in excluded for number in some):
        return f"all integers from {least} to {most} are excluded"
    return ""


def fractions(have: list[dict[Any, Any]]) -> str:
    """The same of numbers that are no integers."""
    low, high = _range(have)
    if step := _step(have):
        return f"multipleOf: no fraction is a multiple of {step}"
    if low is None or high is None or low[0] < high[0]:
        return ""
    if low[0] > high[0] or low[1] or high[1] or low[0].denominator == 1:
        return f"no number is at least {float(low[0]):g} and at most {float(high[0]):g}"
    return ""


def given(have: list[dict[Any, Any]], name: str) -> Iterator[Any]:
    """What they say under `name`, where it is a number."""
    for one in have:
        value = one.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield value


def _range(have: list[dict[Any, Any]]) -> tuple[_Bound | None, _Bound | None]:
    """The tightest bounds."""
    low, high = (
        [
            (sign * Fraction(value), strict)
            for strict, name in ((False, plain), (True, f"exclusive{plain.capitalize()}"))
            for value in given(have, name)
        ]
        for sign, plain in ((1, "minimum"), (-1, "maximum"))
    )
    most = max(high, default=None)
    return max(low, default=None), None if most is None else (-most[0], most[1])


def _step(have: list[dict[Any, Any]]) -> int:
    """The integer that all values are multiples of; 0 for none."""
    steps = [int(value) for value in given(have, "multipleOf") if value > 0 and value % 1 == 0]
    return math.lcm(*steps) if steps else 0
