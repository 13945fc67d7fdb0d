"""A CRD's openAPIV3Schema as a JSON schema that refuses what the API server would drop silently."""

import functools
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from serve_app.tools.check.json_schema import strict

ROOT = Path(__file__).parents[2]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 18,000 lines take 6 s without C


def crd_folder() -> Path:
    """Where the CRDs lie: TANDEM_CRDS, or ../shared/crds beside the repository. Skips without."""
    named = os.environ.get("TANDEM_CRDS")
    folder = Path(named) if named else ROOT.parent / "shared" / "crds"
    if not folder.is_dir():
        pytest.skip(f"no CRDs at {folder}; set TANDEM_CRDS to KubeRay's config/crd/bases")
    return folder


@functools.cache
def validator(file: str, version: str) -> Draft202012Validator:
    """For whole objects of one version of a CRD."""
    crd = yaml.load((crd_folder() / file).read_text(), Loader=_LOADER)
    (found,) = (entry for entry in crd["spec"]["versions"] if entry["name"] == version)
    schema = strict(found["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # the API server's own
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return Draft202012Validator(schema)


def problems(check: Draft202012Validator, data: Any) -> list[str]:
    """Every mistake, as `place: what`."""
    return [f"{error.json_path}: {error.message}" for error in check.iter_errors(data)]
