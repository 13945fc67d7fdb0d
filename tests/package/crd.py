"""The CRDs that the tests hold manifests against, and what is wrong with an object by one of them."""

import functools
import os
from pathlib import Path
from typing import Any

import pytest

from serve_app.tools.check.crds import Crds
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Report

ROOT = Path(__file__).parents[2]


def crd_folder() -> Path:
    """Where the CRDs lie: TANDEM_CRDS, or ../shared/crds beside the repository. Skips without."""
    named = os.environ.get("TANDEM_CRDS")
    folder = Path(named) if named else ROOT.parent / "shared" / "crds"
    if not folder.is_dir():
        pytest.skip(f"no CRDs at {folder}; set TANDEM_CRDS to KubeRay's config/crd/bases")
    return folder


@functools.cache
def _crds() -> Crds:
    return Crds(crd_folder())


def problems(data: dict[str, Any]) -> list[str]:
    """Every mistake in an object of a kind that the CRDs define, as `place: what`."""
    document = Document(data, Report("-"))
    assert _crds().find(document.group, document.kind), f"no CRD of {document.kind}"
    document.report.extend(_crds().check(document))
    return [f"{one.place}: {one.what}" for one in document.report.findings()]
