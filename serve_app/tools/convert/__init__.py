"""`tandem convert FILE`: one thing made into another. What it is made into, the kind of the file says.

Each kind has a line in `_KINDS`: whether it takes a path, what it can become, and the module whose
`run(options)` does it.
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


def _manifests(path: Path) -> bool:
    """YAML or JSON, the standard input, or a folder with a kustomization."""
    from serve_app.tools.kube.kustomize import NAMES
    from serve_app.tools.kube.sources import ENDS

    kustomized = path.is_dir() and any((path / name).is_file() for name in NAMES)
    return str(path) == "-" or path.suffix in ENDS or kustomized


_KINDS: tuple[tuple[str, Callable[[Path], bool], tuple[str, ...], str], ...] = (
    (
        "a pickled model (.joblib, .pkl)", _pickled, ("skops", "onnx"),
        "serve_app.tools.convert.pickles",
    ),
    (
        "KServe's or KubeRay's YAML, a Serve config", _manifests, ("rayservice", "serve", "kserve"),
        "serve_app.tools.convert.manifests",
    ),
)  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """As the converter of its kind says; ConfigError when there is none."""
    for name, takes, forms, module in _KINDS:
        if takes(options.path):
            if options.to not in (None, *forms):
                raise ConfigError(
                    f"{options.path}: {name} becomes {' or '.join(forms)}, not {options.to}"
                )
            code: int = importlib.import_module(module).run(options)
            return code
    known = "; ".join(name for name, _, _, _ in _KINDS)
    raise ConfigError(f"{options.path}: nothing that can be converted; what can: {known}")
