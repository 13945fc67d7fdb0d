"""What a Serve config names: applications, the Router among them, models."""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]


def router_of(application: Json) -> Json | None:
    """The Router's user_config in an application's config; None where it has none."""
    for deployment in application.get("deployments") or []:
        if deployment.get("name") == "Router":
            return deployment.get("user_config") or {}
    return {} if str(application.get("import_path")).endswith(":build_router") else None


def inline(application: Json) -> dict[str, Json]:
    """The inline models in an application's config."""
    models = (router_of(application) or {}).get("models") or []
    return {str(model.get("name")): model for model in models if isinstance(model, Mapping)}


def transformers(application: Json) -> dict[str, Json]:
    """The classes around models in an application's config."""
    found = (router_of(application) or {}).get("transformers") or []
    return {str(one.get("name")): one for one in found if isinstance(one, Mapping)}


def named(config: Json) -> Iterator[tuple[str, Json]]:
    """The applications of a Serve config, with their names."""
    for application in config.get("applications") or []:
        yield str(application.get("name")), application


def model_of(name: str, application: Json) -> str:
    """The model whose versions an application has."""
    return str((application.get("args") or {}).get("model") or name)
