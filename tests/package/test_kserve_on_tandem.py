"""configs/kserve on Tandem: the files of KServe's are those of its own configuration."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.config import RemoteModel, parse
from serve_app.tools.check import kserve, load_checked, served
from serve_app.tools.kserve import both_ways
from serve_app.tools.kserve.merge import same
from serve_app.tools.kube.documents import read
from tests.package.crd import problems
from tests.package.kserve_manifests import MODELS, SERVICES
from tests.package.tracked import ROOT, tracked

FILES = [path for path in tracked("configs/kserve/**/*.yaml") if "InferenceService" in path.read_text()]
# What the sides are told differently: where it lies, and KServe's own numbers.
_APART = {"storage_uri", "name", "placement"}


def services(path: Path) -> Any:
    documents = read(path)
    for one in documents:
        one.report.extend(kserve.check(one))
    found = served.served(documents, here=False)
    assert [str(one) for one in served.run(found) if one.severity == "error"] == []
    return found.services


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_the_model_of_the_configuration(name: str) -> None:
    (service,) = services(ROOT / f"configs/kserve/{name}.yaml")
    (model,) = service.models
    found = parse(RemoteModel, model.entry).model_dump(exclude=_APART)
    wanted = MODELS[name].model_dump(exclude={*_APART, "load_timeout"})
    assert {key: found[key] for key in wanted} == wanted


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_becomes_a_manifest_and_comes_back(path: Path) -> None:
    found = [one for one in services(path) if one.models]
    if not found:  # a workflow that patches one
        return
    manifest = both_ways.ray_service(found)
    assert problems(manifest) == []
    config = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    again, _ = both_ways.inference_services(manifest, config)
    for one, service in zip(again, found, strict=True):
        assert same(one, both_ways.own_words(service.document.data))


def test_one_is_served_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By `tandem run`, with the volume where KServe's claim would be mounted."""
    folder = tmp_path / "tandem-models/digits/1"
    folder.mkdir(parents=True)
    (folder / "model.pt2").write_bytes(b"")
    monkeypatch.setenv("TANDEM_PVC_ROOT", str(tmp_path))
    told: list[str] = []
    config = load_checked(ROOT / "configs/kserve/digits.yaml", told.append)
    assert [one["name"] for one in config["applications"]] == ["tandem", "digits"]
    assert told == []
