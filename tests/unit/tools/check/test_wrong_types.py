"""Anything may be wrong in what people check, anywhere: findings, and never a traceback."""

import copy
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.check import verdict
from serve_app.tools.check.command import run
from serve_app.tools.check.crds import Crds
from serve_app.tools.check.rules import Rule, always
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.documents import CONFIG
from serve_app.tools.kube.findings import Place
from serve_app.tools.kube.sources import documents
from tests.package.crd import ROOT, crd_folder
from tests.unit.tools.check.configs import GOOD

WRONG: list[Any] = [
    None, True, 0, -7, 1.5, "", "x", "1", [], [None], [[1]], ["a", {}], {}, {"a": {"b": [None]}},
    {"x": 1}, 10**30, "1e999", [False], {"$patch": "delete"},
]  # fmt: skip
_PATHS = (
    "rayservice.yaml", "configs/kserve", "configs/k8s/overlays/gateway", "configs/k8s/overlays/prod",
    "configs/k8s/ray", "configs/k8s/keda",
)  # fmt: skip


def _documents() -> list[dict[str, Any]]:
    found = [yaml.safe_load(GOOD)]
    for path in _PATHS:
        if (ROOT / path).exists():
            found += [one.data for one in documents(ROOT / path)]
    once: dict[str, dict[str, Any]] = {
        json.dumps(one, sort_keys=True, default=str): one for one in found
    }
    return list(once.values())


def _places(value: Any, place: Place = ()) -> Iterator[Place]:
    yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, (*place, index))


def _changed(value: Any, place: Place, new: Any) -> Any:
    if not place:
        return copy.deepcopy(new)
    changed = copy.copy(value)
    changed[place[0]] = _changed(value[place[0]], place[1:], new)
    return changed


def _cases() -> list[tuple[dict[str, Any], Place]]:
    """Each document with each of its places; those of a serveConfigV2 are below `CONFIG`."""
    cases = []
    for document in _documents():
        cases += [(document, place) for place in _places(document) if place]
        text = document.get("spec", {}).get(CONFIG) if "kind" in document else None
        if isinstance(text, str):
            cases += [(document, ("spec", CONFIG, *place)) for place in _places(yaml.safe_load(text))]
    return cases


def _mutated(document: dict[str, Any], place: Place, new: Any) -> dict[str, Any]:
    if place[:2] == ("spec", CONFIG) and len(place) > 2:
        config = _changed(yaml.safe_load(document["spec"][CONFIG]), place[2:], new)
        place, new = place[:2], yaml.safe_dump(config)
    changed: dict[str, Any] = _changed(document, place, new)
    return changed


def _look(folder: Path, cases: Iterable[tuple[dict[str, Any], Place, Any]], crds: Crds | None) -> None:
    """No exception comes out, and no rule ends in one."""
    file = folder / "file.yaml"
    for document, place, new in cases:
        file.write_text(yaml.safe_dump(_mutated(document, place, new), sort_keys=False))
        found = list(check(file, crds))
        failed = [one.what for one in found if "ended in" in one.what]
        assert failed == [], (place, new)


SCHEMA: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rayservices.ray.io"},
    "spec": {
        "group": "ray.io",
        "names": {"kind": "RayService"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                        },
                        "x-kubernetes-validations": [{"rule": "size(self.spec) > 0"}],
                    }
                },
            }
        ],
    },
}


@pytest.mark.no_cover
def test_some_of_them(tmp_path: Path) -> None:
    (tmp_path / "crds").mkdir()
    (tmp_path / "crds" / "one.json").write_text(json.dumps(SCHEMA))
    choose = random.Random(19)
    some = [(*case, choose.choice(WRONG)) for case in choose.sample(_cases(), 120)]
    _look(tmp_path, some[:60], None)
    _look(tmp_path, some[60:], Crds(tmp_path / "crds"))


def _broken(document: dict[str, Any], place: Place, choose: random.Random) -> str:
    """A part taken out, called otherwise, doubled, or another's; or the text itself."""
    changed = copy.deepcopy(document)
    around, key = changed, place[-1]
    for step in place[:-1]:
        around = around[step]
    way = choose.randrange(5)
    if way == 0:
        del around[key]
    elif way == 1 and isinstance(around, dict):
        around[choose.choice([5, None, "", f"{key}s", 1.5, True])] = around.pop(key)
    elif way == 2 and isinstance(around, list):
        around += [around[int(key)]] * 2
    elif way == 3:
        around[key] = choose.choice(list(changed.values()))
    text = yaml.safe_dump(changed, sort_keys=False)
    lines = text.split("\n")
    at = choose.randrange(len(lines))
    if way == 4:
        line = choose.choice(
            [lines[at], "\t", "---", "<<: *a", "- &a [*a]", "a: &b {c: *b}", "? x", "\0"]
        )
        lines.insert(at, line + choose.choice(["", " #", ": :", " !!x", "'", "\r"]))
        text = "\n".join(lines)
        text = choose.choice([text, text[: choose.randrange(len(text))], "\ufeff" + text])
    return text


@pytest.mark.no_cover
def test_other_mistakes(tmp_path: Path) -> None:
    choose, file = random.Random(19), tmp_path / "file.yaml"
    plain = [case for case in _cases() if case[1][:2] != ("spec", CONFIG)]
    for document, place in choose.sample(plain, 80):
        text = _broken(document, place, choose)
        file.write_text(text)
        try:
            found = list(check(file, None))
        except ConfigError:
            continue  # no YAML, as it is told
        assert [one.what for one in found if "ended in" in one.what] == [], text


@pytest.mark.long
def test_all_of_them(tmp_path: Path) -> None:
    choose, crds = random.Random(19), Crds(crd_folder())
    _look(tmp_path, ((*case, new) for case in _cases() for new in choose.sample(WRONG, 4)), crds)


def test_a_rule_that_fails_is_named_and_the_others_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(part: Any, _: Any) -> str:
        if part.place:
            return "before"
        raise TypeError("no such thing")

    def parts(resource: Any) -> list[Any]:
        return [resource.spec, resource.whole]

    after = Rule("metadata", always, "after")
    table = ((parts, "", (Rule("", broken), after)),)
    monkeypatch.setattr(verdict, "_OWN_TABLES", (table,))
    (tmp_path / "one.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspek: 1\n")
    found = [(one.place, one.what, one.severity) for one in check(tmp_path / "one.yaml", None)]
    assert ("spek", "unknown field; did you mean spec?", "error") in found
    assert ("spec", "before", "error") in found
    assert ("metadata", "after", "error") in found
    (note,) = (what for _, what, severity in found if severity == "note")
    assert note.endswith("broken` ended in TypeError: no such thing")


def test_the_status_says_whether_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file.json"
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": []}}
    for place in _places(service):
        for new in WRONG:
            document = _changed(service, place, new)
            if not isinstance(document, dict):
                continue
            file.write_text(json.dumps(document))
            status = run([file], None, "json", False)
            found = json.loads(capsys.readouterr().out)
            assert status == any(one["severity"] == "error" for one in found), (place, new)


@pytest.mark.parametrize("spec", [7, "x", [1], {"ports": 1}, {"ports": [7]}, {"ports": [{"port": "x"}]}])
def test_a_wrong_type_is_an_error(tmp_path: Path, spec: Any) -> None:
    file = tmp_path / "file.json"
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec}
    file.write_text(json.dumps(service))
    assert run([file], None, "json", False) == 1
