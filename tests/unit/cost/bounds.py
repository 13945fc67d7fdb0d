"""How much a request may cost, by Python's version: reads and writes `bounds.json`."""

import json
import sys
from pathlib import Path

_FILE = Path(__file__).with_name("bounds.json")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

Bounds = dict[str, tuple[int, int]]


def bounds() -> Bounds:
    """Instructions of `serve_app` and in all, by way; none for a Python that nobody counted with."""
    return {name: (ours, every) for name, (ours, every) in _known().get(VERSION, {}).items()}


def write(found: Bounds) -> None:
    """Those of this Python."""
    known = _known()
    known[VERSION] = {name: list(pair) for name, pair in found.items()}
    _FILE.write_text(json.dumps(known, indent=1) + "\n")


def _known() -> dict[str, dict[str, list[int]]]:
    found: dict[str, dict[str, list[int]]] = json.loads(_FILE.read_text()) if _FILE.exists() else {}
    return found
