"""The environment variables that Ray Serve reads."""

import functools
import re
from pathlib import Path

import ray.serve

_NAME = re.compile(r"\bRAY_SERVE_[A-Z0-9_]*[A-Z0-9]\b")


@functools.cache
def serve_variables() -> frozenset[str]:
    """Every name in its sources, that some code of it may ask the environment for."""
    folder = Path(ray.serve.__file__).parent
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        if "tests" not in file.parts:
            found.update(_NAME.findall(file.read_text(encoding="utf-8", errors="ignore")))
    return frozenset(found)
