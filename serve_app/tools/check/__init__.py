"""`tandem check`: everything that can be known to be wrong with a configuration before it runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from serve_app.errors import ConfigError
from serve_app.tools.check import kserve, served
from serve_app.tools.check.serve_config import check_serve_config
from serve_app.tools.kserve import serve_config
from serve_app.tools.kserve.translate import is_ours
from serve_app.tools.kube.documents import Document, read

__all__ = ["load_checked"]


def load_checked(path: Path, tell: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Read and check a Serve config file. ConfigError lists all that is wrong, line by line.

    What the config names and this machine lacks, a folder or a class, is told: one model that can't be
    loaded doesn't keep the others from being served.
    """
    documents = read(path)
    if any(is_ours(one) for one in documents):
        return _of_kserve(path, documents, tell)
    if len(documents) != 1:
        what = "expected a mapping with `applications`" if not documents else "expected one Serve config"
        raise ConfigError(f"{path}: {what}, found {len(documents)}")
    (document,) = documents
    if kind := document.kind:
        way = "tandem local" if kind == "RayService" else "kubectl apply -f"
        raise ConfigError(f"{path}: a {kind} is Kubernetes' ({way} {path}); expected a Serve config")
    lacking = replace(document.report, found=[], lines=dict(document.report.lines))
    check_serve_config(document.data, document.report)
    if any(one.severity != "warning" for one in document.report.found):
        raise ConfigError(str(document.report))
    if tell:
        check_serve_config(document.data, lacking, here=True)
        known = set(document.report.found)
        lacking.found = [one for one in lacking.found if one not in known]
        for line in filter(None, str(lacking).splitlines()):
            tell(line)
    return document.data


def _of_kserve(
    path: Path, documents: list[Document], tell: Callable[[str], None] | None
) -> dict[str, Any]:
    """KServe's resources as a Serve config; what KServe refuses is refused, too."""
    for one in documents:
        one.report.extend(kserve.check(one))
    found = served.served(documents, here=tell is not None)
    said = served.run(found)
    if wrong := [str(one) for one in said if one.severity == "error"]:
        raise ConfigError("\n".join(wrong))
    for each in said if tell else ():
        if tell and each.severity == "warning":
            tell(str(each))
    return serve_config.write(found.services)
