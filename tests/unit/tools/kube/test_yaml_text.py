"""YAML as sigs.k8s.io/yaml reads it: yaml.v2's scalars (its resolve.go), then JSON."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.kube.documents import read
from serve_app.tools.kube.yaml_text import nodes, values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("=", "="),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("1:30", "1:30"),
        ("08", 8),
        ("010", 8),
        ("0o10", 8),
        ("0o", "0o"),
        ("0x1F", 31),
        ("0b11", 3),
        ("-7", -7),
        ("1_000", 1000),
        ("1e3", 1000),
        ("1.0", 1),
        ("1.5", 1.5),
        ("1e400", "1e400"),  # ParseFloat's range error leaves a text
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("12e", "12e"),
        ("y", True),
        ("off", False),
        ("Yes", True),
        ("yEs", "yEs"),
        ("'yes'", "yes"),
        ("~", None),
        ("Null", None),
        ("''", ""),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("!!binary aGk=", "hi"),
        ("!Ref x", "x"),
        ("!Sub [x]", ["x"]),
        ("18446744073709551615", 2**64 - 1),
        ("99999999999999999999", 1e20),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    (data,) = values(f"a: {text}")
    assert data == {"a": value}
    assert type(data["a"]) is type(value)


def test_keys_are_text() -> None:
    assert values("{1: a, true: b, on: c, 1.5: d, x: e}") == [
        {"1": "a", "true": "c", "1.5": "d", "x": "e"}
    ]


def test_merges() -> None:
    assert values("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}") == [
        {"a": {"x": 1, "true": 2}, "b": {"x": 1, "true": 3}}
    ]


BOMB = "a: &a [1]\n" + "\n".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 10)}]"
    for before, one in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: {{ .Values.x }}", "unhashable key"),
        ("a: *x", "undefined alias"),
        ("a: &a [*a]", "an alias contains itself"),
        ("[" * 100_000, "nested more than 200 deep"),
        (BOMB, "aliases unfold to more than 50,000"),
        ("? null\n: 1", "null as a key"),
        ("a: [", "did not find"),
    ],
)
def test_what_is_no_yaml(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "file.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read(tmp_path / "file.yaml")
    with pytest.raises(yaml.YAMLError):
        assert nodes(text) == values(text)


def test_a_serve_config_is_read_as_ray_reads_it(tmp_path: Path) -> None:
    """With PyYAML, to which `1e3` is text and `y` no flag; one in a RayService as the operator does."""
    (tmp_path / "serve.yaml").write_text("applications: [{args: {a: 1e3, y: y}}]")
    (one,) = read(tmp_path / "serve.yaml")
    assert one.data["applications"] == [{"args": {"a": "1e3", "y": "y"}}]
    (tmp_path / "service.yaml").write_text(
        "apiVersion: ray.io/v1\nkind: RayService\nspec:\n"
        "  serveConfigV2: |\n    a: 1e3\n    b: 2026-01-01\n"
    )
    (one,) = read(tmp_path / "service.yaml")
    assert one.config is not None
    assert one.config[1] == {"a": 1000, "b": "2026-01-01"}


def test_json_with_tabs_and_pairs_of_surrogates(tmp_path: Path) -> None:
    text = '{\n\t"apiVersion": "v1",\n\t"kind": "Service",\n\t"metadata": {"name": "\\ud83d\\ude00"}\n}'
    (tmp_path / "file.json").write_text(text)
    (one,) = read(tmp_path / "file.json")
    assert one.name == "😀"
    assert one.report.line(("metadata", "name")) == 4


def test_lines_of_keys_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\ndata:\n  no: a\n  0x10: b\n  1.0: c\n  off: d\n")
    (one,) = read(file)
    assert list(one.data["data"]) == ["false", "16", "1"]
    assert [one.report.line(("data", key)) for key in ("16", "1", "false")] == [5, 6, 7]
    assert [found.place for found in one.report.found] == [("data", "false")]  # given twice


def test_items_of_a_typed_list_need_no_kind(tmp_path: Path) -> None:
    """As of `kubectl get --raw`: the API server's lists don't repeat it."""
    file = tmp_path / "a.yaml"
    file.write_text("apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n")
    (one,) = read(file)
    assert (one.kind, one.name, one.report.line(("metadata",))) == ("Service", "a", 4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("apiVersion: v1\nkind: List\nitems: {}\n", "a.yaml:1: items: expected a list, got a mapping"),
        ("apiVersion: v1\nkind: List\nitems: [null]\n", "a.yaml:3: expected a mapping, got nothing"),
        ("a: 1\nb: {{ .x }}\n", "a.yaml:2: not valid YAML: unhashable key"),
        ("a: 1\n\tb: 2\n", "a.yaml:2: not valid YAML: found a tab character that violates indentation"),
    ],
)
def test_what_can_not_be_read_has_its_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read(tmp_path / "a.yaml")
    assert str(error.value).endswith(says)


def test_half_a_pair_of_surrogates(tmp_path: Path) -> None:
    """JSON can say it, also inside a serveConfigV2."""
    file = tmp_path / "a.json"
    file.write_text(
        '{"apiVersion": "ray.io/v1", "kind": "RayService", "spec": {"serveConfigV2": "a: \\ud83d"}}'
    )
    (one,) = read(file)
    assert one.config is not None
    assert [found.what for found in one.config[2].found] == [
        "not valid YAML: no text: surrogates not allowed"
    ]
