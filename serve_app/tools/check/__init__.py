"""`tandem check`: everything that can be known to be wrong with a configuration before it runs."""

from pathlib import Path
from typing import Any

from serve_app.errors import ConfigError
from serve_app.tools.check.serve_config import check_serve_config
from serve_app.tools.kube.documents import read

__all__ = ["load_checked"]


def load_checked(path: Path) -> dict[str, Any]:
    """Read and check a Serve config file. ConfigError lists all that is wrong, line by line."""
    documents = read(path)
    if len(documents) != 1:
        what = "expected a mapping with `applications`" if not documents else "expected one Serve config"
        raise ConfigError(f"{path}: {what}, found {len(documents)}")
    (document,) = documents
    check_serve_config(document.data, document.report)
    if any(one.severity != "warning" for one in document.report.found):
        raise ConfigError(str(document.report))
    return document.data
