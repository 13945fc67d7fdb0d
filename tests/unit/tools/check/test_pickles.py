"""What `tandem check` says of pickles: refused, or what it means to trust them."""

import json
from pathlib import Path

import joblib
import pytest

from serve_app.tools.check.verdict import check as verdict


def found(folder: Path, **more) -> list[tuple[str, str, str, str]]:
    model = {"name": "m", "modelFormat": "sklearn", "storageUri": str(folder / "m"), **more}
    deployments = [{"name": "Router", "user_config": {"models": [model]}}]
    application = {"name": "tandem", "route_prefix": "/", "import_path": "serve_app.app:build_router",
                   "deployments": deployments}  # fmt: skip
    file = folder / "serve.yaml"
    file.write_text(json.dumps({"applications": [application]}))
    return [
        (one.severity, one.place.rpartition(".")[2], one.what, one.fix) for one in verdict(file, None)
    ]


@pytest.fixture
def pickled(tmp_path):
    (tmp_path / "m").mkdir()
    joblib.dump({}, tmp_path / "m" / "model.joblib")
    return tmp_path


def test_refused_with_the_command_that_converts_it(pickled):
    ((severity, place, what, fix),) = found(pickled)
    assert (severity, place) == ("error", "storageUri")
    assert "model.joblib is a pickle, and loading it runs whatever code is in it" in what
    assert fix == f"tandem convert {pickled / 'm' / 'model.joblib'}; or trusted: true"


def test_what_it_means_to_trust_one(pickled):
    ((severity, place, what, fix),) = found(pickled, trusted=True)
    assert (severity, place) == ("warning", "trusted")
    assert "whoever can write that folder runs code" in what
    assert "tandem convert" in fix


def test_also_where_it_lies_elsewhere(tmp_path):
    said = found(tmp_path, storageUri="s3://bucket/m", trusted=True, modelFormat="mlflow")
    assert ("warning", "trusted") in {one[:2] for one in said}


def test_trust_belongs_to_what_may_be_a_program(tmp_path):
    said = found(tmp_path, modelFormat="xgboost", trusted=True)
    assert any(
        "`trusted` belongs to modelFormat torch, sklearn, mlflow, tensorflow, not xgboost" in one[2]
        for one in said
    )


def test_kserve_s_names_are_known(pickled):
    assert any("did you mean sklearn?" in one[2] for one in found(pickled, modelFormat="sklaern"))
    assert not any("modelFormat" in one[1] for one in found(pickled, modelFormat="pytorch"))


def test_a_saved_model_is_a_program_too(tmp_path):
    (tmp_path / "m/1").mkdir(parents=True)
    (tmp_path / "m/1/saved_model.pb").touch()
    ((severity, place, what, fix),) = found(tmp_path, modelFormat="tensorflow")
    assert (severity, place) == ("error", "storageUri")
    assert "m/1 is a SavedModel, a program that can read and write files" in what
    assert fix.startswith("trusted: true")
    assert found(tmp_path, modelFormat="tensorflow", trusted=True) == []
