"""`tandem check PATH…`: read, check, and say what was found."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from serve_app.tools.check import across, builtin, kserve, operator, pods, service, serving
from serve_app.tools.check.crd import Crds
from serve_app.tools.check.demand import check as check_demand
from serve_app.tools.check.output import rendered
from serve_app.tools.check.serve import check_serve_config
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Finding
from serve_app.tools.kube.ray_cluster import RayCluster
from serve_app.tools.kube.sources import documents

CRDS = "TANDEM_CRDS"


def run(paths: Sequence[Path], crds: Path | None, how: str, strict: bool) -> int:
    """0 when nothing is wrong, 1 when something is (with `strict` a warning or a note too)."""
    named = os.environ.get(CRDS)
    folder = crds or (Path(named) if named else None)
    known = Crds(folder) if folder else None
    findings = [one for path in paths for one in check(path, known)]
    if text := rendered(findings, how):
        print(text)
    bad = [one for one in findings if strict or one.severity == "error"]
    if how == "text":
        for path in paths:
            if not any(one.file == str(path) or Path(one.file).is_relative_to(path) for one in bad):
                print(f"{path}: fine", file=sys.stderr if text else sys.stdout)
    return 1 if bad else 0


def check(path: Path, crds: Crds | None) -> Iterator[Finding]:
    """What is wrong with a file, a folder's build, or `-`, the standard input."""
    found = list(documents(path))
    unknown: set[str] = set()
    for one in found:
        unknown |= set(_check(one, crds))
    across.check(found)
    for one in found:
        yield from one.report.findings()
    if unknown:
        yield Finding(
            str(path), 1, "", "(top)", f"not held against a schema: {', '.join(sorted(unknown))}",
            "the API server knows more than the rules here",
            f"`kubectl get crd -o yaml > crds/all.yaml`, and --crds crds (or {CRDS})"
            + ("" if builtin.installed() else "; Kubernetes' own: pip install 'tandem-serve[check]'"),
            "note",
        )  # fmt: skip


def _check(one: Document, crds: Crds | None) -> Iterator[str]:
    """Note what is wrong with one document; the kinds that no schema was there for."""
    if not one.kind:
        check_serve_config(one.data, one.report)
        return
    if builtin.is_builtin(one) and builtin.installed():
        one.report.extend(builtin.check(one))
    elif crds is not None and crds.find(one.group, one.kind):
        one.report.extend(crds.check(one))
    else:
        yield f"{one.data['apiVersion']} {one.kind}"
    one.report.extend(kserve.check(one))
    cluster = RayCluster.of(one.data)
    serving.check(one, cluster)
    if cluster:
        for rules in (operator, service, pods):
            one.report.extend(rules.check(one, cluster))
        one.report.extend(check_demand(one, cluster))
