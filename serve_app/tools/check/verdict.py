"""What is wrong with the documents that a path stands for."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from serve_app.tools.check import (
    config_in_pods,
    fit_together,
    kinds,
    kserve,
    kuberay,
    kuberay_cluster,
    kuberay_jobs,
    kuberay_options,
    kubernetes_pods,
    kubernetes_rules,
    kubernetes_schemas,
    once,
    pods,
    rules,
    served,
)  # fmt: skip
from serve_app.tools.check.crds import Crds
from serve_app.tools.check.serve_config import check_serve_config
from serve_app.tools.check.unseen import Unseen
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Finding, Problem, Report, Severity
from serve_app.tools.kube.sources import documents

_SERVE = (
    "applications", "http_options", "grpc_options", "proxy_location", "logging_config", "tracing_config",
    "controller_options", "target_capacity", "import_path",
)  # fmt: skip
_NOTHING_KNOWN = (
    "neither a Kubernetes resource (`apiVersion` and `kind`, both text) nor a Serve config "
    "(`applications`)"
)
_OWN_TABLES = (kubernetes_rules.TABLE, kserve.TABLE)
# What an operator, or the API server, says of what they make of a resource that was taken before.
_OPERATORS_TABLES = (
    config_in_pods.TABLE, kuberay_cluster.TABLE, kuberay_options.TABLE, kuberay.TABLE,
    kuberay_jobs.TABLE, pods.TABLE, kubernetes_pods.TABLE,
)  # fmt: skip
TABLES = (*_OWN_TABLES, *_OPERATORS_TABLES)


def check(path: Path, crds: Crds | None, unseen: Unseen | None = None) -> Iterator[Finding]:
    """What is wrong with a file, a folder's build, or `-`, the standard input.

    What couldn't be looked at is put into `unseen`, or said at the end without one.
    """
    skipped: dict[Path, str] = {}
    own = Unseen() if unseen is None else unseen
    found = list(documents(path, skipped))
    if not found and not skipped:
        nothing = "nothing to check", "kubectl says the same"
        yield Finding(str(path), 1, "", "(top)", *nothing, "", "error")
    for one in found:
        _ask(one.report, _one, one, crds, path.is_dir(), own)
    _one_config_each(found)
    whole = Report(str(path))
    _ask(whole, fit_together.check, found)
    _ask(whole, served.check, found)
    for one in found:
        yield from one.report.findings()
    yield from whole.findings()
    for file, reason in skipped.items():
        line, _, what = reason.removeprefix(f"{file}:").partition(":")
        at, what = (int(line), what) if line.isdecimal() else (1, f"{line}:{what}")
        what = f"skipped: {what.strip()}"
        yield Finding(str(file), at, "", "(top)", what, "it was not checked", "", "note")
    if crds:
        own.parts(crds)
    if unseen is None:
        yield from own.notes(path)


def _one(one: Document, crds: Crds | None, in_folder: bool, unseen: Unseen) -> Iterator[Problem]:
    """What is wrong with one document."""
    report = one.report
    if not one.kind:
        if not _wants_to_serve(one.data):
            severity: Severity = "note" if in_folder else "error"
            yield Problem((), _NOTHING_KNOWN, "nobody can say what it is", severity=severity)
        else:
            _ask(report, check_serve_config, one.data, report, True)
        return
    if kubernetes_schemas.is_builtin(one) and kubernetes_schemas.installed():
        _ask(report, kubernetes_schemas.check, one)
    elif crds is not None and crds.find(one.group, one.kind):
        _ask(report, crds.check, one)
    else:
        _ask(report, kinds.check, one)
        one = kinds.as_meant(one)
        if crds is not None and crds.find(one.group, one.kind):
            _ask(report, crds.check, one)
        else:
            unseen.kind(one)
    resource = rules.Resource.of(one)
    for table in _OWN_TABLES:
        report.extend(rules.check(table, resource))
    before = list(report.found)
    _ask(report, config_in_pods.as_config, one)
    own = len(report.found)
    for table in _OPERATORS_TABLES:
        report.extend(rules.check(table, resource))
    report.found[own:] = once.news(before, report.found[own:])


def _one_config_each(found: list[Document]) -> None:
    """Of a file with several Serve configs, neither Ray nor `tandem run` takes any."""
    files = set[str]()
    for one in found:
        if not one.kind and _wants_to_serve(one.data):
            if one.report.file in files:
                fix = "a file for each, or all applications in one config"
                why = "whoever serves it expects one"
                one.report.add((), "a second Serve config in one file", why, fix)
            files.add(one.report.file)


def _wants_to_serve(data: dict[str, Any]) -> bool:
    """Whether a document that is no resource is a Serve config, be it with a word misspelt."""
    halves = {"apiVersion", "kind"} & data.keys() and "applications" not in data
    close = (difflib.get_close_matches(str(key), _SERVE, n=1, cutoff=0.8) for key in data)
    return not halves and (not data or any(close))


def _ask(report: Report, ask: Callable[..., Iterable[Problem] | None], *arguments: Any) -> None:
    """Put down what is found. Where whoever is asked fails itself, that is said too."""
    try:
        for problem in ask(*arguments) or ():
            report.extend([problem])
    except Exception as error:
        report.extend([rules.failed(ask, error)])
