"""Where documents come from: files, folders, kustomizations, Lists."""

import json
import os
from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.tools.check.command import run
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.sources import documents, last_change

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SERVICE)
    (tmp_path / "b.yml").write_text(SERVICE.replace("a}", "b}"))
    (tmp_path / "c.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}})
    )
    (tmp_path / "d.txt").write_text("{{")
    assert [one.name for one in documents(tmp_path)] == ["a", "b", "c"]


def test_a_folders_files_that_are_no_manifests_are_named_and_skipped(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(SERVICE + "spek: {}\n")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "template.yaml").write_text("metadata:\n  name: {{ .Release.Name }}\n")
    (tmp_path / "values.yaml").write_text("replicas: 1\n")
    found = list(check(tmp_path, None))
    assert [(Path(one.file).name, one.severity) for one in found] == [
        ("bad.yaml", "error"),
        ("values.yaml", "note"),
        ("latin.yaml", "note"),
        ("list.json", "note"),
        ("template.yaml", "note"),
    ]
    assert "neither a Kubernetes resource" in found[1].what
    assert all("skipped: " in one.what for one in found[2:])
    (tmp_path / "bad.yaml").write_text(SERVICE)
    assert run([tmp_path], None, "text", False) == 0
    with pytest.raises(ConfigError, match="not valid"):
        list(documents(tmp_path))


def test_a_file_that_is_none_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "template.yaml").write_text("a: {{ .x }}")
    (tmp_path / "bad.yaml").write_text(SERVICE + "spek: {}\n")
    with pytest.raises(ConfigError, match=r"template\.yaml:1: not valid YAML"):
        run([tmp_path / "template.yaml", tmp_path / "bad.yaml"], None, "text", False)
    assert "spek: unknown field" in capsys.readouterr().out


def test_a_kustomization_given_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SERVICE)
    file = tmp_path / "kustomization.yaml"
    file.write_text("resources: [a.yaml]\nnamespace: ns\n")
    (one,) = documents(file)
    assert one.data["metadata"] == {"name": "a", "namespace": "ns"}
    os.utime(tmp_path / "a.yaml", (9e9, 9e9))
    assert last_change(file) == 9e9


@pytest.mark.parametrize(
    "resources", ["5", "[5]", "[[]]", "{a: b}", "[a.yaml]\npatches: [5]", "[]\nimages: 7"]
)
def test_a_kustomization_of_another_form(tmp_path: Path, resources: str) -> None:
    (tmp_path / "a.yaml").write_text(SERVICE)
    (tmp_path / "kustomization.yaml").write_text(f"resources: {resources}\n")
    try:
        list(documents(tmp_path))
    except ConfigError as error:
        assert str(error).startswith(str(tmp_path))  # noqa: PT017


@pytest.mark.parametrize("kind", ["List", "ServiceList"])
def test_lists_are_taken_apart(tmp_path: Path, kind: str) -> None:
    item = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    nested = {"apiVersion": "v1", "kind": "List", "items": [item]}
    (tmp_path / "list.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": kind, "items": [item, nested]})
    )
    assert [one.name for one in documents(tmp_path / "list.json")] == ["a", "a"]
    (tmp_path / "list.json").write_text(json.dumps({"apiVersion": "v1", "kind": kind, "items": [7]}))
    with pytest.raises(ConfigError, match="expected a mapping"):
        list(documents(tmp_path / "list.json"))


@pytest.mark.parametrize(
    "text",
    [
        "kind: Service\n",
        "apiVersion: v1\nname: a chart\n",
        "apiVersion: 1\nkind: Service\n",
        "replicas: 1\n",
    ],
)
def test_what_is_neither_a_resource_nor_a_serve_config(tmp_path: Path, text: str) -> None:
    (tmp_path / "file.yaml").write_text(text)
    (found,) = check(tmp_path / "file.yaml", None)
    assert found.severity == "error"
    assert found.what.startswith("neither a Kubernetes resource")


def test_a_serve_config_with_a_word_misspelt(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("aplications: []\n")
    assert "did you mean applications?" in next(check(tmp_path / "file.yaml", None)).what


@pytest.mark.parametrize(
    ("group", "builtin"),
    [
        ("", True), ("apps", True), ("batch", True), ("networking.k8s.io", True), ("policy", True),
        ("rbac.authorization.k8s.io", True), ("gateway.networking.k8s.io", False), ("x-k8s.io", False),
        ("snapshot.storage.k8s.io", False), ("metrics.k8s.io", False), ("mine", False),
    ],
)  # fmt: skip
def test_groups_of_kubernetes_itself(tmp_path: Path, group: str, builtin: bool) -> None:
    version = f"{group}/v1" if group else "v1"
    (tmp_path / "file.yaml").write_text(f"apiVersion: {version}\nkind: Nothing\nmetadata: {{name: a}}\n")
    (found,) = check(tmp_path / "file.yaml", None)
    assert (found.severity, found.what) == (
        ("error", f"Kubernetes has no Nothing in {version}")
        if builtin
        else ("note", f"not held against a schema: {version} Nothing")
    )


def test_an_empty_list_and_a_kind_that_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: List\nitems: null\n")
    assert list(documents(tmp_path / "a.yaml")) == []
    (tmp_path / "b.yaml").write_text(
        "apiVersion: example.org/v1\nkind: AllowList\nmetadata: {name: a}\n"
    )
    assert [one.kind for one in documents(tmp_path / "b.yaml")] == ["AllowList"]
