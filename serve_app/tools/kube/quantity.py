"""Kubernetes quantities."""

import math
import re
from fractions import Fraction
from typing import Any

_UNITS: dict[str, Fraction] = {"": Fraction(1)}
_UNITS |= {
    unit: Fraction(10) ** (3 * power) for power, unit in enumerate("num kMGTPE", -3) if unit != " "
}
_UNITS |= {f"{unit}i": Fraction(1024) ** power for power, unit in enumerate("KMGTPE", 1)}
_FORM = re.compile(r"([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:[eE]([-+]?[0-9]{1,3})|([a-zA-Z]*))")


def exact(value: Any) -> Fraction:
    """`500m`, `8Gi`, `1e3` as a number; ValueError when it is none."""
    match = _FORM.fullmatch(str(value))
    if isinstance(value, bool) or match is None or (match[3] or "") not in _UNITS:
        raise ValueError(f"'{value}' is no quantity")
    power = Fraction(10) ** int(match[2]) if match[2] else _UNITS[match[3] or ""]
    return Fraction(match[1].rstrip(".")) * power


def amount(value: Any) -> Fraction | None:
    """As `exact`, None where it is none."""
    try:
        return exact(value)
    except ValueError:
        return None


def quantity(value: Any) -> float:
    """As `exact`, nearly."""
    try:
        return float(exact(value))
    except OverflowError:
        return math.inf if exact(value) > 0 else -math.inf
