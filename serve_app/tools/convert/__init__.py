"""`tandem convert FILE`: one thing made into another. What it is made into, the kind of the file says.

Each kind has a line in `_KINDS`: whether it takes a path, and the module whose `run(options)` does it.
"""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path

from serve_app.errors import ConfigError

_PICKLES = (".joblib", ".pkl", ".pickle")


def _pickled(path: Path) -> bool:
    """A pickle by its name, or a folder with one."""
    return path.suffix in _PICKLES or (
        path.is_dir() and any(one.suffix in _PICKLES for one in path.iterdir())
    )


_KINDS: tuple[tuple[str, Callable[[Path], bool], str], ...] = (
    ("a pickled model (.joblib, .pkl)", _pickled, "serve_app.tools.convert.pickles"),
)


def run(options: argparse.Namespace) -> int:
    """As the converter of its kind says; ConfigError when there is none."""
    for _, takes, module in _KINDS:
        if takes(options.path):
            code: int = importlib.import_module(module).run(options)
            return code
    known = "; ".join(name for name, _, _ in _KINDS)
    raise ConfigError(f"{options.path}: nothing that can be converted; what can: {known}")
