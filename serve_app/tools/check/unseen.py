"""What couldn't be looked at, gathered over all paths and said once."""

from collections.abc import Iterator
from pathlib import Path

from serve_app.tools.check import kubernetes_schemas
from serve_app.tools.check.crds import Crds
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Finding

CRDS = "TANDEM_CRDS"
_EXTRA = "pip install 'tandem-serve[check]'"


class Unseen:
    """Kinds without a schema, and parts of CRDs that need packages."""

    def __init__(self) -> None:
        self._kinds: dict[str, bool] = {}  # whether it is Kubernetes' own
        self._parts: set[str] = set()

    def kind(self, document: Document) -> None:
        """There is no schema of it here."""
        name = f"{document.data['apiVersion']} {document.kind}"
        self._kinds[name] = kubernetes_schemas.is_builtin(document)

    def parts(self, crds: Crds) -> None:
        """What of the CRDs that were asked couldn't be read."""
        self._parts |= crds.not_asked()

    def notes(self, path: Path) -> Iterator[Finding]:
        """One each, of the first path of a run."""
        if self._parts:
            what = f"not looked at: {' and '.join(sorted(self._parts))} of CRDs"
            yield Finding(str(path), 1, "", "(top)", what, "", _EXTRA, "note")
        if not self._kinds:
            return
        fixes = [f"Kubernetes' own: {_EXTRA}"] if any(self._kinds.values()) else []
        if not all(self._kinds.values()):
            fixes.append(f"`kubectl get crd -o yaml > crds/all.yaml`, and --crds crds (or {CRDS})")
        what = f"not held against a schema: {', '.join(sorted(self._kinds))}"
        why = "the API server knows more than the rules here"
        yield Finding(str(path), 1, "", "(top)", what, why, "; ".join(fixes), "note")
