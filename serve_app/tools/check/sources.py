"""Where a model comes from: its storageUri, what lies there, its class."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from serve_app.config import ModelConfig, RemoteModel
from serve_app.errors import ConfigError
from serve_app.explainers import columns
from serve_app.redact import redacted
from serve_app.repository.addresses import Address, address
from serve_app.repository.storage import local_folder, local_path
from serve_app.repository.stores import lacking
from serve_app.repository.versions import misnamed, version_folders
from serve_app.runtimes.base import FILES
from serve_app.runtimes.labels import read_labels
from serve_app.runtimes.model_files import PICKLES, model_file
from serve_app.runtimes.transformers import trained_for
from serve_app.tools.check import own_class
from serve_app.tools.check.modules import Where
from serve_app.tools.kube.findings import Place, Problem

_WHY = "the model can't be loaded"


def check(config: ModelConfig, place: Place) -> Iterator[Problem]:
    """What is wrong wherever it runs."""
    if config.storage_uri:
        yield from _said((*place, "storageUri"), _WHY, local_path, config.storage_uri)
    if config.trusted and config.model_format in ("sklearn", "mlflow"):
        yield _trusted(place)
    if isinstance(config, RemoteModel) and config.llm and config.llm.adapter_path:
        at = (*place, "llm", "adapterPath")
        yield from _said(at, "no adapter can be loaded", local_path, config.llm.adapter_path)


def _said(place: Place, why: str, ask: Callable[..., object], *arguments: Any) -> Iterator[Problem]:
    """What is wrong with a key, without its name, which is said first."""
    try:
        ask(*arguments)
    except ConfigError as error:
        yield Problem(place, str(error).partition(": ")[2] or str(error), why)


def check_here(config: ModelConfig, place: Place, where: Where) -> Iterator[Problem]:
    """What this machine lacks of it."""
    if config.class_path and ":" in config.class_path:
        explains = isinstance(config, RemoteModel) and config.explains is not None
        yield from own_class.check(config.class_path, config.options, place, where, explains)
    yield from _extra(config, place)
    try:
        folder = _folder(config)
    except ConfigError as error:
        said = str(error).removeprefix(f"storageUri '{config.storage_uri}': ")
        if not any(one.severity == "error" for one in check(config, place)):
            yield Problem((*place, "storageUri"), said, _WHY)
        return
    if folder is None:
        return
    try:
        versions = version_folders(folder, config.versions)
    except ConfigError as error:
        asked = isinstance(config.versions, list)
        said = str(error).removeprefix("versions: ")
        yield Problem((*place, "versions" if asked else "storageUri"), said, _WHY)
        return
    for name, number in misnamed(folder).items() if config.versions == "all" else ():
        what = f"{folder / name} is not loaded: a version's folder is a positive integer"
        fix = f"rename {name} to {number}"
        yield Problem((*place, "storageUri"), what, fix=fix, severity="warning")
    for version in versions.values():
        yield from _files(config, version, place)
        yield from _labels(config, version, place)


def _labels(config: ModelConfig, folder: Path, place: Place) -> Iterator[Problem]:
    """Files with the names of classes."""
    for index, output in enumerate(config.outputs):
        if (name := output.label_filename) is not None:
            yield from _said(
                (*place, "outputs", index, "labelFilename"), _WHY, read_labels, folder, name
            )


def _extra(config: ModelConfig, place: Place) -> Iterator[Problem]:
    """What has to be installed to fetch it."""
    try:
        at = address(config.storage_uri or ".")
    except ConfigError:
        return  # said by `check`
    if isinstance(at, Address) and (extra := lacking(at)):
        what = f"{config.storage_uri} is fetched by a package that isn't installed here"
        fix = f"pip install 'tandem-serve[{extra}]', where it is to run"
        yield Problem((*place, "storageUri"), redacted(what), _WHY, fix, "warning")


def versions_of(config: ModelConfig, here: bool) -> list[str] | None:
    """The versions that it has, None where that isn't known."""
    if isinstance(config.versions, list):
        return config.versions
    if not config.storage_uri:
        return ["1"]
    try:
        folder = _folder(config) if here else None
        return list(version_folders(folder, config.versions)) if folder else None
    except ConfigError:
        return None


def _folder(config: ModelConfig) -> Path | None:
    """None where it has to be fetched first, or where there is none."""
    if not config.storage_uri:
        return None
    return local_folder(config.storage_uri) if local_path(config.storage_uri) else None


def _files(config: ModelConfig, folder: Path, place: Place) -> Iterator[Problem]:
    if config.loads_nothing:  # LIME's background
        try:
            columns.read(folder)
        except ConfigError as error:
            yield Problem((*place, "storageUri"), str(error), _WHY)
        return
    try:
        path = model_file(config.model_format, folder) if config.model_format in FILES else None
    except ConfigError as error:
        yield Problem((*place, "storageUri"), str(error), _WHY)
        return
    if path is not None and path.suffix in PICKLES and not config.trusted:
        yield _pickle(path, place)
    if config.model_format == "tensorflow" and path is not None and not config.trusted:
        what = f"{path.parent} is a SavedModel, a program that can read and write files"
        fix = "trusted: true, where you trust whoever can write it; or tf2onnx, and modelFormat: onnx"
        yield Problem((*place, "storageUri"), what, _WHY, fix)
    if config.model_format == "transformers":
        try:
            about = json.loads((folder / "config.json").read_bytes())
        except (OSError, ValueError) as error:
            yield Problem((*place, "storageUri"), f"{folder / 'config.json'}: {error}", _WHY)
            return
        if reason := trained_for(str(config.options.get("task")), about):
            yield Problem((*place, "options", "task"), f"{folder}: {reason}", _WHY)


def _trusted(place: Place) -> Problem:
    """What it means to trust a file that may be a pickle."""
    what = (
        "a pickle that lies in the model's folder is loaded: whoever can write that folder runs code in "
        "the process that serves it, with its files, its network and its secrets"
    )
    fix = "`tandem convert model.joblib` makes a file without code, which needs no trust"
    return Problem((*place, "trusted"), what, fix=fix, severity="warning")


def _pickle(path: Path, place: Place) -> Problem:
    what = f"{path} is a pickle, and loading it runs whatever code is in it"
    fix = f"tandem convert {path}; or trusted: true"
    return Problem((*place, "storageUri"), what, _WHY, fix)
