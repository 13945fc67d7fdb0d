"""torch.export archives without their pickles.

`torch.export.load` (2.13) unpickles weights and constants marked `use_pickle`, custom objects, and
falls back to full unpickling for sample inputs; it also loads compiled libraries. A .pt2 that holds
any of it is refused before torch sees it, and what is left loads with weights_only forced.
"""

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serve_app.errors import ConfigError

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def load_program(path: Path) -> Any:
    """The ExportedProgram in `path`; ConfigError when reading it would run code."""
    check(path)
    import torch

    with _weights_only():
        return torch.export.load(str(path))


def check(path: Path) -> None:
    """Refuse every part of the archive that torch would unpickle or execute."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            configs = [json.loads(archive.read(name)) for name in names if name.endswith("_config.json")]
    except (zipfile.BadZipFile, ValueError) as error:
        raise ConfigError(f"{path} is not a torch.export archive: {error}") from None
    inner = [name.partition("/")[2] for name in names]
    if "archive_format" not in inner:
        raise ConfigError(
            f"{path} is no torch.export archive, or one from before PyTorch 2.8: export it again"
        )
    for name in inner:
        folder, _, leaf = name.rpartition("/")
        if folder == "data/aotinductor" or folder.startswith("data/aotinductor/"):
            raise ConfigError(f"{path} holds compiled code ({name}), which is not loaded")
        if leaf.startswith(("custom_obj_", "opaque_obj_")):
            raise ConfigError(f"{path} holds a pickled object ({name}), which is not loaded")
        if folder in ("data/weights", "data/constants") and leaf.endswith(".pt"):
            raise ConfigError(f"{path} holds pickled tensors ({name}): export it again")
    for config in configs:
        for key, entry in config.get("config", {}).items():
            if entry.get("use_pickle"):
                raise ConfigError(f"{path} holds '{key}' as a pickle, which is not loaded")


@contextmanager
def _weights_only() -> Iterator[None]:
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before
