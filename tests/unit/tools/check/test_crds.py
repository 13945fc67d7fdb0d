"""An object by a CRD, as the API server says it of structural schemas
(https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions)."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.tools.check.crds import Crds
from serve_app.tools.check.json_schema import FORMATS
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.findings import Finding

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
PRESERVE = {"x-kubernetes-preserve-unknown-fields": True}


def definition(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.k8s.io"},
        "spec": {"group": "example.k8s.io", "names": {"kind": "Thing"}, "versions": [version], **more},
    }


def of_spec(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": properties, **more}},
    }


def held(folder: Path, schema: dict[str, Any], **data: Any) -> list[Finding]:
    (folder / "crds").mkdir(exist_ok=True)
    (folder / "crds" / "thing.yaml").write_text(yaml.safe_dump(definition(schema)))
    thing = {"apiVersion": "example.k8s.io/v1", "kind": "Thing", "metadata": {"name": "a"}, **data}
    (folder / "thing.json").write_text(json.dumps(thing))
    return list(check(folder / "thing.json", Crds(folder / "crds")))


def said(found: list[Finding]) -> list[str]:
    return [f"{one.place}: {one.what}" for one in found if one.severity == "error"]


def test_nulls_are_absent_unless_they_are_allowed(tmp_path: Path) -> None:
    """`foo` has a default, `bar` is nullable, `baz` neither: the documentation's own example."""
    schema = of_spec(
        {
            "foo": TEXT | {"default": "x", "enum": ["x"]},
            "bar": TEXT | {"nullable": True, "enum": ["y"]},
            "baz": TEXT,
        },
        required=["foo", "bar"],
    )
    assert said(held(tmp_path, schema, spec={"foo": None, "bar": None, "baz": None})) == []
    assert said(held(tmp_path, schema, spec={"bar": None})) == []
    assert said(held(tmp_path, schema, spec={"foo": "x"})) == ["spec: 'bar' is required, but not there"]
    needed = of_spec({"baz": TEXT}, required=["baz"])
    assert said(held(tmp_path, needed, spec={"baz": None})) == ["spec: 'baz' is required, but not there"]


def test_nulls_in_lists_stay(tmp_path: Path) -> None:
    schema = of_spec({"many": {"type": "array", "items": TEXT}})
    assert said(held(tmp_path, schema, spec={"many": [None]})) == [
        "spec.many[0]: expected string, got nothing"
    ]


def test_defaults_are_filled_in_before_anything_is_asked(tmp_path: Path) -> None:
    port = {"type": "object", "properties": {"kind": TEXT | {"default": "tcp"}}, "required": ["kind"]}
    ports = {"type": "array", "items": port}
    rule = {"rule": "self.ports.all(p, p.kind == 'tcp')", "message": "all of them"}
    schema = of_spec({"ports": ports}, default={"ports": [{}]}, **{"x-kubernetes-validations": [rule]})
    assert said(held(tmp_path, schema, spec={"ports": [{}, {"kind": None}]})) == []
    assert said(held(tmp_path, schema)) == []
    assert said(held(tmp_path, schema, spec={"ports": [{"kind": "udp"}]})) == ["spec: all of them"]


def test_a_spec_is_required_where_the_crd_says_so(tmp_path: Path) -> None:
    schema = of_spec({"a": TEXT})
    assert said(held(tmp_path, schema)) == []
    assert said(held(tmp_path, schema | {"required": ["spec"]})) == [
        "(top): 'spec' is required, but not there"
    ]


def test_unknown_fields_by_the_place_where_they_stand(tmp_path: Path) -> None:
    """What the forms of an `anyOf` name alone isn't known; what the structure names is, in each form."""
    forms = {"oneOf": [{"required": ["a"]}, {"properties": {"b": {"minimum": 1}}, "required": ["b"]}]}
    schema = of_spec({"a": TEXT, "b": NUMBER, "bound": {"type": "object"}}, **forms)
    assert said(held(tmp_path, schema, spec={"b": 1})) == []
    assert said(held(tmp_path, schema, spec={"a": "x"})) == []
    assert said(held(tmp_path, schema, spec={"a": "x", "c": 1})) == [
        "spec.c: unknown field; known: a, b, bound"
    ]
    assert said(held(tmp_path, schema, spec={"a": "x", "bound": {"d": 1}})) == [
        "spec.bound.d: unknown field"
    ]
    assert said(held(tmp_path, schema, spec={"a": "x", "b": 1})) == [
        "spec: a mapping fits several forms, of which one is allowed"
    ]
    refused = of_spec({"a": TEXT, "b": NUMBER}, **{"not": {"required": ["a"]}})
    assert said(held(tmp_path, refused, spec={"b": 1})) == []
    assert said(held(tmp_path, refused, spec={"a": "x"})) == [
        "spec: a mapping has a form that the schema forbids"
    ]


def test_what_a_schema_leaves_open(tmp_path: Path) -> None:
    schema = of_spec(
        {
            "free": {"type": "object", "properties": {"a": NUMBER}, **PRESERVE},
            "map": {
                "type": "object",
                "additionalProperties": {"type": "object", "properties": {"a": TEXT}},
            },
            "any": PRESERVE,
        }
    )
    good = {"free": {"a": 1, "b": {"c": 1}}, "map": {"x": {"a": "1"}}, "any": [{"x": None}, 1]}
    assert said(held(tmp_path, schema, spec=good)) == []
    found = said(held(tmp_path, schema, spec={"free": {"a": "x"}, "map": {"x": {"b": 1}}}))
    assert sorted(found) == [
        "spec.free.a: expected integer, got 'x'",
        "spec.map.x.b: unknown field; known: a",
    ]


def test_embedded_resources(tmp_path: Path) -> None:
    schema = of_spec({"inner": {"type": "object", "x-kubernetes-embedded-resource": True, **PRESERVE}})
    whole = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "labels": {"a": "b"}},
        "spec": {},
    }
    assert said(held(tmp_path, schema, spec={"inner": whole})) == []
    assert said(held(tmp_path, schema, spec={"inner": {"kind": "Pod"}})) == [
        "spec.inner: 'apiVersion' is required, but not there"
    ]
    wrong = whole | {"metadata": {"labels": {"a": 1}, "nmae": "x"}}
    assert sorted(said(held(tmp_path, schema, spec={"inner": wrong}))) == [
        "spec.inner.metadata.labels.a: expected string, got 1",
        "spec.inner.metadata.nmae: unknown field; did you mean name?",
    ]


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "metadata: no name"),
        ({"name": "A_b"}, "metadata.name: 'A_b' does not match"),
        ({"name": "a", "labels": {"x": "y z"}}, "metadata.labels.x: 'y z' does not match"),
        ({"name": "a", "labels": {"x": True}}, "metadata.labels.x: expected string, got True"),
        ({"name": "a", "annotations": {"a/b/c": ""}}, "metadata.annotations: 'a/b/c' does not match"),
        ({"name": "a", "lables": {}}, "metadata.lables: unknown field; did you mean labels?"),
        ("a", "metadata: expected object, got 'a'"),
    ],
)
def test_metadata(tmp_path: Path, metadata: Any, words: str) -> None:
    assert words in "\n".join(said(held(tmp_path, of_spec({}), metadata=metadata)))


def test_metadata_as_kubectl_prints_it(tmp_path: Path) -> None:
    metadata = {"generateName": "a-", "creationTimestamp": None, "managedFields": [{"f:x": {}}]}
    assert said(held(tmp_path, of_spec({}), metadata=metadata)) == []


def test_keys_of_lists_and_sets(tmp_path: Path) -> None:
    port = {
        "type": "object",
        "properties": {"port": NUMBER, "kind": TEXT | {"default": "tcp"}, "x": NUMBER},
    }
    keys = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "kind"]}
    schema = of_spec(
        {
            "ports": {"type": "array", "items": port, **keys},
            "names": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
            "any": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "atomic"},
        }
    )
    good = {"ports": [{"port": 1}, {"port": 1, "kind": "udp"}], "names": ["1", "2"], "any": ["a", "a"]}
    assert said(held(tmp_path, schema, spec=good)) == []
    ports = [{"port": 1, "x": 1}, {"port": 1, "kind": "tcp", "x": 2}]
    assert said(held(tmp_path, schema, spec={"ports": ports, "names": ["a", "b", "a"]})) == [
        "spec.ports[1]: port 1, kind tcp: given twice",
        'spec.names[2]: "a": given twice',
    ]


def test_patterns_are_re2s(tmp_path: Path) -> None:
    """`\\z` and `(?i)` in the middle are none of Python's, and its `$` would take a line's end."""
    schema = of_spec({"a": TEXT | {"pattern": r"\A[a-z]+(?i)b\z"}, "c": TEXT | {"pattern": "^x$"}})
    assert said(held(tmp_path, schema, spec={"a": "aB", "c": "x"})) == []
    (first, second) = said(held(tmp_path, schema, spec={"a": "aBc", "c": "x\n"}))
    assert first.startswith("spec.a: 'aBc' does not match the pattern")
    assert second.startswith("spec.c: 'x\n' does not match")


def test_quantities_and_integers_or_strings(tmp_path: Path) -> None:
    quantity = {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
        "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE])?$",
    }
    schema = of_spec({"a": quantity})
    for good in (1, "1", "500m", "1.5Gi"):
        assert said(held(tmp_path, schema, spec={"a": good})) == []
    (found,) = said(held(tmp_path, schema, spec={"a": "1 GB"}))
    assert found.startswith("spec.a: '1 GB' does not match")
    for bad in (0.5, True, ["1"]):
        (found,) = said(held(tmp_path, schema, spec={"a": bad}))
        assert found.startswith("spec.a: expected integer or string, got")


def test_bounds_as_openapi_writes_them(tmp_path: Path) -> None:
    schema = of_spec({"a": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 5}})
    assert said(held(tmp_path, schema, spec={"a": 5})) == []
    assert said(held(tmp_path, schema, spec={"a": 0})) != []
    assert said(held(tmp_path, schema, spec={"a": 5.1})) != []


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2026-01-02T03:04:05Z", "2026-01-02"),
        ("date", "2026-01-02", "2026-13-02"),
        ("duration", "1h30m", "soon"),
        ("byte", "aGVsbG8=", "aGVsbG8"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uuid", "123E4567-e89b-12d3-a456-426614174000", "123"),
        ("int32", 2**31 - 1, 2**31),
        ("int64", -(2**63), 2**63),
        ("quantity", "1.5Gi", "1 GiB"),
    ],
)
def test_formats(name: str, good: Any, bad: Any) -> None:
    assert FORMATS[name](good)
    assert not FORMATS[name](bad)


def test_formats_that_nobody_knows_say_nothing(tmp_path: Path) -> None:
    schema = of_spec({"a": TEXT | {"format": "colour"}, "b": TEXT | {"format": "datetime"}})
    assert said(held(tmp_path, schema, spec={"a": "x", "b": "2026-01-02T03:04:05Z"})) == []
    assert said(held(tmp_path, schema, spec={"b": "x"})) == ["spec.b: 'x' is no datetime"]


def test_several_crds_in_a_file_and_files_that_are_none(tmp_path: Path) -> None:
    folder = tmp_path / "crds"
    folder.mkdir()
    schema = of_spec({"a": TEXT})
    other = definition(schema, names={"kind": "Other"})
    described = {"description": "`=` and dates", "enum": ["="]}
    third = definition(of_spec({"a": TEXT | described}), names={"kind": "Third"})
    many = {"apiVersion": "v1", "kind": "List", "items": [third, 7, None]}
    texts = "---\n".join(["# none\n", yaml.safe_dump(definition(schema)), yaml.safe_dump(other)])
    (folder / "a.yml").write_text(texts)
    (folder / "b.json").write_text(json.dumps(many, indent="\t"))
    (folder / "c.yaml").write_text("kind: Thing\ngroup: example.k8s.io\nx: {{ .Values.x }}\n")
    (folder / "d.yaml").write_text("- Thing\n- example.k8s.io\n")
    crds = Crds(folder)
    for kind in ("Thing", "Other", "Third"):
        assert crds.find("example.k8s.io", kind) is not None, kind
    assert crds.find("example.k8s.io", "Fourth") is None
    assert crds.find("example.org", "Thing") is None
    assert Crds(folder / "a.yml").find("example.k8s.io", "Other") is not None


def test_an_equals_sign_in_a_crd(tmp_path: Path) -> None:
    (tmp_path / "crd.yaml").write_text(
        yaml.safe_dump(definition(of_spec({"op": TEXT | {"enum": ["E"]}}))).replace("- E", "- =")
    )
    crds = Crds(tmp_path)
    found = crds.find("example.k8s.io", "Thing")
    assert found is not None
    (version,) = found["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert spec["properties"]["op"]["enum"] == ["="]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (2**53 + 1.0, "expected integer, got 9007199254740992.0"),  # swag.IsFloat64AJSONInteger's bound
        (1e20, "expected integer, got 1e+20"),
        (3.0, ""),
        (2.0**40, "'1099511627776.0' is no int32"),
    ],
)
def test_floats_as_whole_numbers(tmp_path: Path, value: float, says: str) -> None:
    schema = of_spec({"a": NUMBER | {"format": "int32"}})
    assert any(says in one for one in said(held(tmp_path, schema, spec={"a": value}))) == bool(says)
