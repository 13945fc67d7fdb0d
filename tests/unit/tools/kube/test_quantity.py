"""Kubernetes quantities as numbers."""

import math
from typing import Any

import pytest

from serve_app.tools.kube.quantity import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        (2, 2),
        ("500m", 0.5),
        ("1.5", 1.5),
        ("2k", 2000),
        ("1Ki", 1024),
        ("1e999", math.inf),
        ("-1e999", -math.inf),
    ],
)
def test_quantity(text: Any, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "x", "1Xi", "K", "1 Gi"])
def test_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity(text)
