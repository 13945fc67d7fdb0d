"""What a registry's webhook says: MLflow's events, or a plain `{"model": …}`. Pure."""

from typing import Any

from serve_app.errors import InvalidArgument, shown

# That a version is there, or is the one to be served.
_EVENTS = [
    ("model_version", "created"), ("model_version_alias", "created"), ("model_version_tag", "set"),
]  # fmt: skip


def model_of(said: Any) -> str | None:
    """Which model to load, by the registry's name; None for an event that asks for nothing."""
    if not isinstance(said, dict):
        raise InvalidArgument(f"the body must be a JSON object, got {shown(said)}")
    if "entity" in said:
        if (said["entity"], said.get("action")) not in _EVENTS:
            return None
        data = said.get("data")
        return _name(data.get("name") if isinstance(data, dict) else None, "data.name")
    return _name(said.get("model"), "model")


def _name(value: object, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidArgument(f"{key}: expected a model's name, got {shown(value)}")
    return value
