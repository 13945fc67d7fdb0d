"""Kubernetes quantities."""

import re
from typing import Any

_UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "m": 1e-3}
_UNITS |= {f"{unit}i": 1024.0**power for power, unit in enumerate("KMGT", start=1)}


def quantity(value: Any) -> float:
    """`500m`, `8Gi` as a number; ValueError when it is none."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([a-zA-Z]*)", str(value))
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"'{value}' is no quantity")
    return float(match[1]) * _UNITS[match[2]]
