"""`tandem convert`: there and back, by the command."""

from pathlib import Path

import pytest
import yaml

from serve_app.tools.cli import main
from serve_app.tools.kserve.merge import same

ISVC = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: flowers
  labels: {team: a}
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 4
    scaleMetric: rps
    scaleTarget: 9
    model:
      modelFormat: {name: onnx, version: "1"}
      protocolVersion: v2
      runtime: kserve-tritonserver
      storageUri: s3://models/flowers
      args: [--log-verbose=1]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "isvc.yaml").write_text(ISVC)
    return tmp_path / "isvc.yaml"


def test_there_and_back(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest, again = file.with_name("ray.yaml"), file.with_name("again.yaml")
    assert main(["convert", str(file), "-o", str(manifest)]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{file}:10: warning: InferenceService/flowers: spec.predictor.scaleMetric: " in said.err
    assert main(["convert", "--to", "kserve", str(manifest), "-o", str(again)]) == 0
    assert capsys.readouterr().err == ""
    assert same(yaml.safe_load(again.read_text()), yaml.safe_load(ISVC))


def test_what_was_changed_meanwhile_counts(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["convert", str(file)])
    manifest = file.with_name("ray.yaml")
    text = capsys.readouterr().out.replace("s3://models/flowers", "s3://models/flowers-2")
    manifest.write_text(text.replace("maxReplicas: 4\n", "maxReplicas: 6\n"))
    main(["convert", "--to", "kserve", str(manifest)])
    found = yaml.safe_load(capsys.readouterr().out)["spec"]["predictor"]
    assert found["model"]["storageUri"] == "s3://models/flowers-2"
    assert found["maxReplicas"] == 6
    assert (found["scaleMetric"], found["scaleTarget"]) == ("rps", 9)


def test_a_serve_config(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = file.with_name("tandem.yaml")
    assert main(["convert", str(file), "--to", "serve", "-o", str(config)]) == 0
    assert main(["check", str(config)]) == 0
    capsys.readouterr()
    assert main(["convert", "--to", "kserve", str(config)]) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    assert found["spec"]["predictor"]["model"] == {
        "modelFormat": {"name": "onnx"}, "storageUri": "s3://models/flowers",
    }  # fmt: skip


def test_the_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(ISVC))
    assert main(["convert", "-"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["kind"] == "RayService"


@pytest.mark.parametrize(
    ("name", "text", "arguments", "says"),
    [
        ("m.xyz", "", [], "nothing that can be converted"),
        ("a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", [], "neither a RayService"),
        ("a.yaml", "kind: Pod\napiVersion: v1\n", ["--to", "serve"], "nothing of KServe's"),
        ("a.yaml", ISVC, ["--to", "kserve"], "it is KServe's"),
        ("a.yaml", ISVC.replace("onnx", "pmml"), [], "pmml: the PMML evaluator"),
        (
            "a.yaml",
            "apiVersion: ray.io/v1\nkind: RayService\nmetadata: {name: s}\n",
            [],
            "no serveConfig",
        ),
        ("a.yaml", ISVC, ["--to", "skops"], "becomes rayservice or serve or kserve, not skops"),
        ("a.yaml", "applications: []\n", [], "no model in it"),
    ],
)
def test_what_cannot_be_converted(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    arguments: list[str],
    says: str,
) -> None:
    (tmp_path / name).write_text(text)
    assert main(["convert", str(tmp_path / name), *arguments]) == 2
    assert says in capsys.readouterr().err
