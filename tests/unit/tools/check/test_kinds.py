"""Other kinds than RayService, builds of several documents, and what is printed."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.check.command import run
from serve_app.tools.check.crds import Crds, holds, rules
from serve_app.tools.check.verdict import check
from serve_app.tools.cli import main
from serve_app.tools.kube.findings import Finding
from serve_app.tools.kube.kustomize import build
from tests.package.crd import ROOT, crd_folder

ISVC = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: m
  annotations: {{{notes}}}
spec:
  predictor:
    {predictor}
"""
MODEL = "model: {modelFormat: {name: torch}, storageUri: 'pvc://a/b'}"
MODE = "serving.kserve.io/deploymentMode"
SCALER = "serving.kserve.io/autoscalerClass"


def found(tmp_path: Path, text: str, crds: Crds | None = None) -> list[Finding]:
    (tmp_path / "file.yaml").write_text(text)
    return [one for one in check(tmp_path / "file.yaml", crds) if one.severity != "note"]


def said(findings: list[Finding]) -> str:
    return "\n".join(f"{one.line}: {one.place}: {one.what}" for one in findings)


@pytest.mark.parametrize(
    ("notes", "predictor", "words"),
    [
        (f"{MODE}: RawDeployment", MODEL, "RawDeployment is called Standard now"),
        (f"{MODE}: Serverless", MODEL, "Serverless is called Knative now"),
        (f"{MODE}: Standrad", MODEL, "no deployment mode; did you mean Standard?"),
        (f"{SCALER}: kedda", MODEL, "no autoscaler class; did you mean keda?"),
        (f"{MODE}: Knative, {SCALER}: keda", MODEL, "keda with mode Knative"),
        ("", f"{MODEL}\n    autoScaling: {{metrics: []}}", "only KEDA reads it"),
        (f"{MODE}: Standard", f"{MODEL}\n    canaryTrafficPercent: 10", "Standard mode has no canary"),
        ("", f"{MODEL}\n    minReplicas: 3\n    maxReplicas: 2", "3 is more than maxReplicas 2"),
        ("", "tensorflow: {storageUri: 'gs://a/b'}", "`tensorflow` is the old form"),
        ("", "minReplicas: 1", "neither `model` nor `containers`"),
        (
            f"{MODE}: Knative",
            "containers: [{name: c, image: i:1, ports: [{containerPort: 1}, {containerPort: 2}]}]",
            "2 ports",
        ),
    ],
)
def test_mistakes_in_an_inference_service(
    tmp_path: Path, notes: str, predictor: str, words: str
) -> None:
    assert words in said(found(tmp_path, ISVC.format(notes=notes, predictor=predictor)))
    assert found(tmp_path, ISVC.format(notes=f"{MODE}: Standard", predictor=MODEL)) == []


def test_the_form_of_v1alpha2(tmp_path: Path) -> None:
    text = ISVC.format(notes="", predictor=MODEL).replace("  predictor:", "  default:\n    predictor:")
    assert "5: spec.default: v1alpha2's form" in said(found(tmp_path, text)).replace("7:", "5:")


def test_a_graph(tmp_path: Path) -> None:
    text = """\
apiVersion: serving.kserve.io/v1alpha1
kind: InferenceGraph
metadata: {name: g}
spec:
  nodes:
    rot:
      routerType: Splitter
      steps:
        - {serviceName: a, weight: 50}
        - {nodeName: rott, weight: 40}
"""
    text_found = said(found(tmp_path, text))
    assert "no node `root`" in text_found
    assert "10: spec.nodes.rot.steps[1].nodeName: no node 'rott'; did you mean rot?" in text_found
    assert "the weights [50, 40] are not 100 together" in text_found


def test_a_job(tmp_path: Path) -> None:
    text = (ROOT / "configs/k8s/ray/rayjob.yaml").read_text()
    assert found(tmp_path, text) == []
    text = text.replace("  shutdownAfterJobFinishes: true\n", "")
    assert "nothing says that it does" in said(found(tmp_path, text))


OTHERS = """\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: b}
spec:
  maxUnavailable: 1
  selector: {matchLabels: {app: tandm}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  rules:
    - backendRefs: [{name: tandem-serv-svc, port: 8000}]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: s}
spec:
  scaleTargetRef: {apiVersion: ray.io/v1, kind: RayCluster, name: c}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: s}
spec:
  scaleTargetRef: {name: other}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: c}
spec:
  maxUnavailable: 1
  selector: {matchLabels: {ray.io/cluster: tandem}}
  minAvailabel: 1
"""


def test_what_must_fit_together(tmp_path: Path) -> None:
    service = (ROOT / "rayservice.yaml").read_text()
    before = service.count("\n") + 1
    text = said(found(tmp_path, f"{service}---\n{OTHERS}"))
    assert f"{before + 6}: spec.selector.matchLabels: no pod here has app=tandm" in text
    assert "no service 'tandem-serv-svc' here; did you mean tandem-serve-svc?" in text
    assert "RayCluster has no scale subresource" in text
    assert "another ScaledObject 's' came before" in text
    assert "cluster changes with every upgrade" in text
    assert "minAvailabel: unknown field; did you mean minAvailable?" in text


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "maxUnavailable: 1",
            "6: spec.maxUnavailable: maxUnavailable: 1 needs a scale subresource",
        ),
        ("minAvailable: 50%", "6: spec.minAvailable: minAvailable: 50% needs a scale subresource"),
        ("minAvailable: 2", "6: spec.minAvailable: 2 of the 2 pods that there are at least must stay"),
    ],
)
def test_budgets_that_stop_every_drain(tmp_path: Path, spec: str, expected: str) -> None:
    budget = (ROOT / "configs/k8s/base/budget.yaml").read_text().partition("apiVersion")
    service = (ROOT / "rayservice.yaml").read_text()
    text = f"{budget[1]}{budget[2]}"
    assert found(tmp_path, f"{text}---\n{service}") == []
    broken = text.replace("minAvailable: 1", spec)
    assert expected in said(found(tmp_path, f"{broken}---\n{service}"))


def test_lists_are_taken_apart_with_their_lines(tmp_path: Path) -> None:
    item = "- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spek: {}\n"
    text = f"apiVersion: v1\nkind: List\nitems:\n{item}"
    assert said(found(tmp_path, text)) == "7: spek: unknown field; did you mean spec?"


def test_a_kind_that_kubernetes_has_not(tmp_path: Path) -> None:
    assert "Kubernetes has no Deployement" in said(
        found(tmp_path, "apiVersion: apps/v1\nkind: Deployement\nmetadata: {name: a}\n")
    )


def test_rules_in_cel() -> None:
    schema = {
        "properties": {
            "many": {
                "items": {"x-kubernetes-validations": [{"rule": "self > 1", "message": "too small"}]}
            }
        },
        "x-kubernetes-validations": [
            {"rule": "self == oldSelf", "message": "not on a change"},
            {"rule": "self.many.size() < 3"},
        ],
    }
    problems = [(one.place, one.what) for one in rules(schema, {"many": [2, 1, 5]}, ())]
    assert problems == [((), "breaks the rule self.many.size() < 3"), (("many", 1), "too small")]
    assert holds("self in ['a', 'b']", "a")


def test_versions_that_a_kind_has_not(tmp_path: Path) -> None:
    text = "apiVersion: ray.io/v2\nkind: RayService\nmetadata: {name: a}\nspec: {}\n"
    assert "RayService has no version 'v2'" in said(found(tmp_path, text, Crds(crd_folder())))


def write(folder: Path, **files: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        text = data if isinstance(data, str) else yaml.safe_dump(data)
        (folder / f"{name}.yaml").write_text(text)
    return folder


THING = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n  image: 'im:1'\n"


def test_kustomizations_are_built(tmp_path: Path) -> None:
    write(tmp_path / "base", thing=THING, kustomization={"resources": ["thing.yaml"], "namespace": "n"})
    patch = "- {op: replace, path: /data/x, value: '2'}\n- {op: add, path: /data/y, value: '3'}\n"
    top = write(
        tmp_path / "top",
        kustomization={
            "resources": ["../base"],
            "patches": [{"target": {"kind": "ConfigMap"}, "patch": patch}],
            "images": [{"name": "im", "newTag": "9"}],
        },
    )
    (one,) = build(top)
    assert one.data["data"] == {"x": "2", "y": "3", "image": "im:9"}
    assert one.data["metadata"]["namespace"] == "n"
    assert one.report.line(("data", "x")) == 6  # of the base's file
    assert list(check(top, None)) == []


def test_a_patch_of_several_is_applied_to_each(tmp_path: Path) -> None:
    things = THING + "---\n" + THING.replace("name: a", "name: b")
    patch = (
        "- {op: test, path: /data/x, value: '1'}\n- {op: add, path: /data/list, value: [{image: im}]}\n"
    )
    patch += (
        "- {op: add, path: /data/list/-, value: a/b}\n- {op: move, from: /data/x, path: /data/x~1y}\n"
    )
    image = {"name": "im", "newTag": "9"}
    write(
        tmp_path,
        thing=things,
        kustomization={"resources": ["thing.yaml"], "patches": [{"patch": patch}], "images": [image]},
    )
    one, other = build(tmp_path)
    assert one.data["data"] == {"image": "im:9", "list": [{"image": "im:9"}, "a/b"], "x/y": "1"}
    assert other.data["data"] == one.data["data"]
    assert other.data["data"]["list"][0] is not one.data["data"]["list"][0]


@pytest.mark.parametrize(
    ("kustomization", "words"),
    [
        ({"resources": ["none.yaml"]}, "No such file"),
        ({"resources": ["https://example.com/x.yaml"]}, "not on this machine"),
        (
            {"resources": ["thing.yaml"], "patches": [{"target": {"kind": "Pod"}, "patch": "[]"}]},
            "not there",
        ),
        (
            {"resources": ["thing.yaml"], "patches": [{"patch": "- {op: remove, path: /data/zz}"}]},
            "/data/zz is not there",
        ),
        (
            {"resources": ["thing.yaml"], "patches": [{"patch": "- {op: add, path: /no/x, value: 1}"}]},
            "/no/x is not there",
        ),
        (
            {"resources": ["thing.yaml"], "patches": [{"patch": "- {op: put, path: /data/x}"}]},
            "Unknown operation 'put'",
        ),
        (
            {
                "resources": ["thing.yaml"],
                "patches": [{"patch": "- {op: test, path: /data/x, value: 2}"}],
            },
            "not equal to tested value",
        ),
    ],
)
def test_kustomizations_that_cannot_be_built(
    tmp_path: Path, kustomization: dict[str, Any], words: str
) -> None:
    write(tmp_path / "k", thing=THING, kustomization=kustomization)
    with pytest.raises(ConfigError, match=words):
        build(tmp_path / "k")


def test_formats_and_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspek: {}\n")
    assert run([bad], None, "text", False) == 1
    assert f"{bad}:4: Service/a: spek: unknown field" in capsys.readouterr().out
    assert run([bad], None, "json", False) == 1
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["line"], one["severity"], one["place"]) == (4, "error", "spek")
    assert run([bad], None, "github", False) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(f"::error file={bad},line=4,title=Service/a%3A spek::unknown field")
    assert printed.count("\n") == 1
    old = tmp_path / "old.yaml"
    old.write_text(ISVC.format(notes=f"{MODE}: RawDeployment", predictor=MODEL))
    assert run([old], None, "text", False) == 0
    assert run([old], None, "text", True) == 1
    assert main(["check", str(tmp_path / "none.yaml")]) == 2
    assert main(["check", "--crds", str(tmp_path / "none"), str(bad)]) == 2


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("apiVersion: v1\nkind: Service\nspek: {}\n"))
    assert [one.place for one in check(Path("-"), None)] == ["spek"]


def test_the_command_of_a_user() -> None:
    command = [
        sys.executable,
        "-m",
        "serve_app",
        "check",
        "rayservice.yaml",
        "configs/k8s/overlays/dev",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_config_in_quotes_has_the_line_of_its_key(tmp_path: Path) -> None:
    text = "apiVersion: ray.io/v1\nkind: RayService\nmetadata: {name: a}\nspec:\n"
    text += '  serveConfigV2: "aplications: []"\n'
    text_found = said(found(tmp_path, text))
    assert "5: spec.serveConfigV2.aplications: unknown key; did you mean applications?" in text_found


def test_without_the_extra_a_note_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    known = importlib.util.find_spec
    hidden = ("celpy", "kubernetes_validate")
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n in hidden else known(n))
    service = (ROOT / "rayservice.yaml").read_text()
    (tmp_path / "both.yaml").write_text(
        f"{service}---\napiVersion: v1\nkind: Service\nmetadata: {{name: a}}\n"
    )
    notes = list(check(tmp_path / "both.yaml", Crds(crd_folder())))
    assert {one.severity for one in notes} == {"note"}
    assert [one.what for one in notes] == [
        "the CRD's rules in CEL were not looked at",
        "not held against a schema: v1 Service",
    ]
    assert all("tandem-serve[check]" in one.fix for one in notes)
