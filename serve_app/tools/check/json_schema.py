"""A CRD's structural schema as a JSON schema that refuses what the API server would drop, and its errors
as sentences."""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from serve_app.config import did_you_mean
from serve_app.tools.kube.findings import Place, Problem

_INT_OR_STRING = {"type": ["integer", "string"]}
_DROPPED = "the API server refuses it, or drops it without a word"
_NESTED = ("items", "additionalProperties", "anyOf", "oneOf", "allOf", "not")
# KubeRay's, KServe's and Kubernetes' older words.
_RENAMED = {
    "serveConfig": "serveConfigV2",
    "rayStartParam": "rayStartParams",
    "pvc": "storageUri: pvc://",
}


def strict(schema: Any) -> Any:
    """The schema with unknown keys refused and Kubernetes' extensions in JSON schema's words."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return dict(_INT_OR_STRING)
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):  # names, not keywords
            out[key] = {name: strict(inner) for name, inner in value.items()}
        elif key in _NESTED:
            out[key] = strict(value)
        elif not key.startswith("x-kubernetes-"):
            out[key] = value
    if "properties" in out and not schema.get("x-kubernetes-preserve-unknown-fields"):
        out.setdefault("additionalProperties", False)
    if out.pop("nullable", False) and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
    return out


def violations(validator: Draft202012Validator, data: Any) -> Iterator[Problem]:
    """Every mistake in `data`, at its place."""
    for error in validator.iter_errors(data):
        yield from _problems(error)


def _problems(error: ValidationError) -> Iterator[Problem]:
    place: Place = tuple(error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        for key in error.instance:
            if key not in known:
                renamed = _RENAMED.get(key)
                hint = f"; it is {renamed} now" if renamed else did_you_mean(str(key), known)
                better = hint.rstrip("?").partition("; did you mean ")[2]
                yield Problem((*place, key), f"unknown field{hint}", _DROPPED, better)
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield Problem(place, f"'{key}' is required, but not there", "the API server refuses it")
    elif error.validator == "type":
        kinds = error.validator_value
        wanted = " or ".join(kinds) if isinstance(kinds, list) else kinds
        fix = ""
        if wanted == "string" and not isinstance(error.instance, dict | list | None.__class__):
            text = str(error.instance).lower() if isinstance(error.instance, bool) else error.instance
            fix = f'put it in quotes: "{text}"'
        yield Problem(
            place, f"expected {wanted}, got {_shown(error.instance)}", "the API server refuses it", fix
        )
    elif error.validator == "enum":
        allowed = [str(one) for one in error.validator_value]
        hint = did_you_mean(str(error.instance), allowed)
        yield Problem(place, f"{_shown(error.instance)} is none of {', '.join(allowed)}{hint}")
    elif error.validator in ("anyOf", "oneOf"):
        forms: dict[Any, list[ValidationError]] = {}
        for inner in error.context:
            forms.setdefault(inner.schema_path[0], []).append(inner)
        meant = [some for some in forms.values() if not _another_type(some, error)]
        if len(meant) == 1:
            for inner in meant[0]:
                yield from _problems(inner)
            return
        yield Problem(place, f"{_shown(error.instance)} fits none of the forms that the schema allows")
    else:
        yield Problem(place, error.message)


def _another_type(form: list[ValidationError], error: ValidationError) -> bool:
    """Whether a form is for values of another type than the one that is there."""
    return any(one.validator == "type" and one.absolute_path == error.absolute_path for one in form)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value)
