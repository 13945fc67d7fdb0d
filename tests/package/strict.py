"""A model's JSON schema that refuses unknown keys, for kinds of which a package has models, not CRDs."""

from typing import Any

_NESTED = ("items", "additionalProperties", "anyOf", "oneOf", "allOf", "not")


def strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):  # names, not keywords
            out[key] = {name: strict(inner) for name, inner in value.items()}
        else:
            out[key] = strict(value) if key in _NESTED else value
    if "properties" in out:
        out.setdefault("additionalProperties", False)
    return out
