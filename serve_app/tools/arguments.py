"""Values on the command line that are more than text."""

import json
from argparse import ArgumentTypeError
from typing import Any


def count(text: str) -> int:
    """A number, at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"expected a number of at least 1, got '{text}'")
    return int(text)


def between(text: str) -> tuple[int, int]:
    """`2`, or `1:8`: the least and the most."""
    least, separator, most = text.partition(":")
    found = count(least), count(most if separator else least)
    if found[0] > found[1]:
        raise ArgumentTypeError(f"expected the smaller number first, got '{text}'")
    return found


def pair(text: str) -> tuple[str, str]:
    """`name=value`."""
    name, separator, value = text.partition("=")
    if not (name and separator and value):
        raise ArgumentTypeError(f"expected INPUT=COLUMN, got '{text}'")
    return name, value


def size(text: str) -> tuple[int, int]:
    """`224x224`: height and width."""
    height, separator, width = text.lower().partition("x")
    if not separator:
        raise ArgumentTypeError(f"expected HEIGHTxWIDTH, as in 224x224, got '{text}'")
    return count(height), count(width)


def mapping(text: str) -> dict[str, Any]:
    """`{"max_tokens": 64}`."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ArgumentTypeError(f"expected a JSON object, got '{text}'")
    return found
