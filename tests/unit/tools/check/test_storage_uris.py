"""`storageUri`s of stores: what no machine could serve, and what this one lacks."""

import importlib.util
import json
from pathlib import Path

import pytest

from serve_app.tools.check.verdict import check as verdict
from tests.unit.tools.check.configs import changed


def about(folder: Path, uri: str) -> list[tuple[str, str]]:
    """Severity and words of what is wrong with the URI, on this machine."""
    file = folder / "serve.yaml"
    file.write_text(changed("storageUri: models/two", f"storageUri: {json.dumps(uri)}"))
    return [
        (one.severity, one.what) for one in verdict(file, None) if one.place.endswith("args.storageUri")
    ]


@pytest.mark.parametrize(
    "uri",
    ["s3://b/m", "gs://b/m", "hf://owner/name@v1", "https://host/m.tar.gz", "abfss://c@acc.dfs.core.windows.net/m",
     "az://c/m"],
)  # fmt: skip
def test_those_that_can_be_fetched(tmp_path, uri):
    assert about(tmp_path, uri) == []


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3a://b/m", "no support for s3a://; did you mean s3://?"),
        ("oci://registry/image", "oci:// is an image, which Kubernetes mounts"),
        ("http://host/m.zip", "can be read and changed on its way"),
        ("hf://gpt2", "hf://OWNER/NAME is wanted"),
        ("pvc://claim/m", "no folder at /mnt/pvc/claim/m"),
    ],
)
def test_those_that_cannot(tmp_path, uri, said):
    ((severity, what),) = about(tmp_path, uri)
    assert severity == "error"
    assert said in what


def test_an_extra_that_is_missing_here(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name == "s3fs" else real(name, *_)
    )
    ((severity, what),) = about(tmp_path, "s3://b/m")
    assert severity == "warning"
    assert "s3://b/m is fetched by a package that isn't installed here" in what
