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
        """Of the first path: a line for what the extra brings, and one for CRDs that are not here."""
        parts = [f"{' and '.join(sorted(self._parts))} of CRDs"] if self._parts else []
        own = ["Kubernetes' own kinds"] if any(self._kinds.values()) else []
        if own or parts:
            what = f"not looked at: {', '.join([*own, *parts])}"
            yield Finding(str(path), 1, "", "(top)", what, "", _EXTRA, "note")
        if others := sorted(name for name, builtin in self._kinds.items() if not builtin):
            what = f"not held against a schema: {', '.join(others)}"
            fix = f"`kubectl get crd -o yaml > crds/all.yaml`, and --crds crds (or {CRDS})"
            why = "the API server knows more than the rules here"
            yield Finding(str(path), 1, "", "(top)", what, why, fix, "note")
