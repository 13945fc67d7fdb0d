"""What must fit together across the models of one Serve config."""

from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.config import RemoteModel, RouterArgs, RouterUserConfig, did_you_mean
from serve_app.tools.kube.findings import Place, Problem, Report

Router = tuple[RouterArgs, RouterUserConfig, Place]  # and where its user_config is
Remote = Mapping[str, RemoteModel]  # by the application's name


def check_models(data: dict[str, Any], router: Router, remote: Remote, report: Report) -> None:
    """Inline and remote models against each other and the Router's limits and routes."""
    places: dict[str, Place] = {
        str(app.get("name")): ("applications", index) for index, app in enumerate(data["applications"])
    }
    report.extend(_names(router, remote, places))
    report.extend(_batches(data, router, remote, places))
    report.extend(_versions(remote, places))


def _names(router: Router, remote: Remote, places: Mapping[str, Place]) -> Iterator[Problem]:
    _, user, where = router
    inline = {model.name for model in user.models}
    for name, config in remote.items():
        if _model(name, config) in inline:
            key = ("args", "model") if config.model else ("name",)
            yield Problem(
                (*places[name], *key), f"'{_model(name, config)}' is also an inline model of the Router"
            )
    known = sorted(inline | {_model(name, config) for name, config in remote.items()})
    for name in user.routing:
        if name not in known:
            yield Problem((*where, "routing", name), f"no model '{name}'{did_you_mean(name, known)}")


def _batches(
    data: dict[str, Any], router: Router, remote: Remote, places: Mapping[str, Place]
) -> Iterator[Problem]:
    args, user, where = router
    limit = args.max_ongoing_requests
    for app in data["applications"]:
        for deployment in app.get("deployments") or []:
            if deployment.get("name") == "Router":
                limit = deployment.get("max_ongoing_requests", limit)
    found = [((*where, "models", i, "batching"), one.batching) for i, one in enumerate(user.models)]
    found += [((*places[name], "args", "batching"), one.batching) for name, one in remote.items()]
    for place, batching in found:
        if batching and batching.max_batch_size > limit:
            yield Problem(
                (*place, "maxBatchSize"),
                f"{batching.max_batch_size} is larger than the Router's max_ongoing_requests {limit}: "
                "such a batch would never fill",
            )


def _versions(remote: Remote, places: Mapping[str, Place]) -> Iterator[Problem]:
    """Applications of one model: each says which versions it has, and no two have the same."""
    by_model: dict[str, list[str]] = {}
    for name, config in remote.items():
        by_model.setdefault(_model(name, config), []).append(name)
    for model, names in by_model.items():
        owners: dict[str, str] = {}
        for name in names if len(names) > 1 else ():
            config, place = remote[name], places[name]
            versions = config.versions if config.storage_uri or config.versions != "all" else ["1"]
            if not isinstance(versions, list):
                yield Problem(
                    (*place, "args"),
                    f"model '{model}' has several applications: {', '.join(names)}",
                    "which of them has a version would depend on which started last",
                    'list the versions of each, as in versions: ["2"]',
                )
                continue
            for version in versions:
                if owner := owners.get(version):
                    yield Problem(
                        (*place, "args", "versions"),
                        f"version {version} of model '{model}' is also in application '{owner}'",
                        "which of them answers would depend on which started last",
                    )
                owners.setdefault(version, name)


def _model(name: str, config: RemoteModel) -> str:
    return config.model or name
