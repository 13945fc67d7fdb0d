"""Folders of this machine, and what stands in the way of one that isn't there."""

from pathlib import Path

from serve_app.config import meant
from serve_app.errors import ConfigError
from serve_app.repository.reasons import Absent, Later, passing


def existing(uri: str, path: Path) -> Path:
    """`path`, which `uri` names; ConfigError says what was looked for, and where."""
    try:
        if not path.is_dir():
            raise Absent(f"storageUri '{uri}': {_absent(path)}")
    except OSError as error:  # no permission
        kind = Later if passing(error) else ConfigError
        raise kind(f"storageUri '{uri}': {error.strerror}: {error.filename}") from None
    return path


def _absent(folder: Path) -> str:
    """What stands in its way, the nearest folder that there is, and what was probably meant."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return f"{there} is no folder"
    missing, *rest = folder.relative_to(there).parts
    try:
        better = meant(missing, (one.name for one in there.iterdir() if one.is_dir()))
    except OSError:
        better = ""
    meant_one = there / better / Path(*rest)
    close = meant_one if meant_one.is_dir() else there / better
    hint = f"; did you mean {close}?" if better else f"; {there} has no '{missing}'"
    if missing.startswith(("~", "$")):
        hint = f"; '{missing}' is a folder's name here: neither ~ nor variables are replaced"
    makes = "the demo LLM: make llm" if folder.name == "llm" else "the demo models: make models"
    demo = f" ({makes})" if ".models" in folder.parts else ""
    return f"no folder at {folder}{hint}{demo}"
