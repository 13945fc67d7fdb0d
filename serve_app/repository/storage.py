"""A `storageUri` as a local folder.

`SCHEMES` is the seam: one function per scheme, from URI to local folder.
"""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from serve_app.config import did_you_mean
from serve_app.errors import ConfigError
from serve_app.redact import redacted

# Relative storageUris start here; the working directory of the Serve replica when unset.
ROOT_VARIABLE = "TANDEM_MODEL_ROOT"


def local_folder(uri: str) -> Path:
    """The folder that `uri` names, which exists. ConfigError says what was looked for, and where."""
    try:
        return _found(uri)
    except ConfigError as error:  # Serve shows it as it is: with everything that `uri` holds
        raise ConfigError(redacted(str(error))) from None


def _found(uri: str) -> Path:
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return _existing(Path(uri), uri)
    fetch = SCHEMES.get(scheme)
    if fetch is None:
        raise ConfigError(
            f"storageUri '{uri}': no support for {scheme}://{did_you_mean(scheme, SCHEMES)}"
        )
    return fetch(uri)


def _file(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise ConfigError(
            f"storageUri '{uri}': file:// takes an absolute path (file:///…), got host '{parts.netloc}'"
        )
    if parts.query or parts.fragment:
        raise ConfigError(f"storageUri '{uri}': file:// takes no query or fragment")
    return _existing(Path(unquote(parts.path)), uri)


SCHEMES: dict[str, Callable[[str], Path]] = {"file": _file}


def _existing(path: Path, uri: str) -> Path:
    root = Path(os.environ.get(ROOT_VARIABLE) or Path.cwd())
    folder = (root / path).resolve()
    if not folder.is_dir():
        raise ConfigError(f"storageUri '{uri}': no folder at {folder} (the demo models: make models)")
    return folder
