"""Values that a CRD's schema allows."""

from typing import Any

import yaml
from hypothesis import strategies as st

from serve_app.tools.kube import yaml_text
from tests.package.crd import crd_folder

_TEXT = st.sampled_from(["a", "b-c", "x1", "1", "true", "long name", "é"])
_QUANTITY = st.sampled_from(["1", "500m", "2Gi", "0.5", 2])
_NEVER = {"status"}


def schema(name: str = "inferenceservices", version: str = "v1beta1") -> dict[str, Any]:
    """Of a resource's CRD."""
    text = (crd_folder() / f"serving.kserve.io_{name}.yaml").read_text()
    crd = yaml.load(text, Loader=yaml_text.Ray)
    (found,) = [one for one in crd["spec"]["versions"] if one["name"] == version]
    whole: dict[str, Any] = found["schema"]["openAPIV3Schema"]
    return whole


def at(whole: dict[str, Any], *path: str) -> dict[str, Any]:
    """The schema of what stands at a path."""
    for step in path:
        whole = whole["properties"][step] if step != "[]" else whole["items"]
    return whole


def values(one: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Of a schema; the deeper, the fewer optional fields."""
    if one.get("x-kubernetes-int-or-string"):
        return _QUANTITY
    if "enum" in one:
        return st.sampled_from(one["enum"])
    kind = one.get("type")
    if kind == "object":
        return _objects(one, depth)
    if kind == "array":
        return st.lists(
            values(one["items"], depth + 1), min_size=max(1, one.get("minItems", 0)), max_size=2
        )
    if kind == "integer":
        return st.integers(max(one.get("minimum", 0), 0), min(one.get("maximum", 100), 100))
    if kind == "boolean":
        return st.booleans()
    if kind == "number":
        return st.sampled_from([0.5, 1.0])
    if one.get("pattern", "").startswith("^/"):
        return st.just("/mnt/models")
    return st.sampled_from(["m", "n"]) if "pattern" in one else _TEXT


def _objects(one: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    properties = {key: value for key, value in one.get("properties", {}).items() if key not in _NEVER}
    if not properties:
        inner = one.get("additionalProperties")
        if isinstance(inner, dict):
            return st.dictionaries(_TEXT, values(inner, depth + 1), min_size=1, max_size=2)
        return st.just({"any": "thing"})
    required = {key: values(properties[key], depth + 1) for key in one.get("required", [])}
    others = sorted(set(properties) - set(required))
    most = 6 if depth == 0 else 3 if depth < 3 else 1
    if not others:
        return st.fixed_dictionaries(required)
    chosen = st.lists(st.sampled_from(others), unique=True, max_size=most, min_size=0 if required else 1)
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries(
            required | {name: values(properties[name], depth + 1) for name in names}
        )
    )
