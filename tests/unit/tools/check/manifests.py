"""An InferenceService to put mistakes in, and what is found in a file."""

from pathlib import Path

from serve_app.tools.check.crds import Crds
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.findings import Finding

ISVC = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: m
  annotations: {{{notes}}}
spec:
  predictor:
    {predictor}
"""
MODEL = "model: {modelFormat: {name: onnx}, storageUri: 'pvc://a/b'}"
MODE = "serving.kserve.io/deploymentMode"


def found(tmp_path: Path, text: str, crds: Crds | None = None) -> list[Finding]:
    (tmp_path / "file.yaml").write_text(text)
    return [one for one in check(tmp_path / "file.yaml", crds) if one.severity != "note"]


def said(findings: list[Finding]) -> str:
    return "\n".join(f"{one.line}: {one.place}: {one.what}" for one in findings)
