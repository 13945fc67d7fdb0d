import pytest

from serve_app.config import Latest
from serve_app.errors import ConfigError
from serve_app.repository.versions import candidates, only_file, version_folders


@pytest.fixture
def model(tmp_path):
    for name in ("9", "10", "2", "old", "0", "01", "1.5", "-3", ".hidden"):
        (tmp_path / "m" / name).mkdir(parents=True)
    (tmp_path / "m" / "11").write_text("a file is no version")
    return tmp_path / "m"


def test_versions_are_numbers_in_numeric_order(model):
    found = version_folders(model, "all")
    assert list(found.items()) == [(v, model / v) for v in ("2", "9", "10")]


@pytest.mark.parametrize(
    ("policy", "kept"), [("latest", ["10"]), (["9", "2"], ["2", "9"]), (["10"], ["10"])]
)
def test_policies(model, policy, kept):
    assert list(version_folders(model, policy)) == kept


@pytest.mark.parametrize(
    ("policy", "named"), [(["9", "3", "4"], "3, 4"), ([], "an empty list"), (["old"], "old")]
)
def test_a_policy_that_asks_for_what_is_not_there(model, policy, named):
    with pytest.raises(ConfigError, match=f"versions: {named} asked for, .* holds 2, 9, 10"):
        version_folders(model, policy)


@pytest.mark.parametrize(
    ("policy", "wanted", "instead"),
    [
        ("latest", ["10"], ["9", "2"]), (Latest(latest=2), ["9", "10"], ["2"]),
        ("all", ["2", "9", "10"], []), (["9"], ["9"], []),
    ],
)  # fmt: skip
def test_what_takes_the_place_of_the_newest(model, policy, wanted, instead):
    found, older, missing = candidates(model, policy)
    assert (list(found), list(older), missing) == (wanted, instead, {})


def test_each_that_cant_be_had_says_why(model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (model / "12").symlink_to(tmp_path / "elsewhere")
    found, _, missing = candidates(model, ["9", "12", "77"])
    assert (list(found), sorted(missing)) == (["9"], ["12", "77"])
    assert "leads out of its model's folder" in missing["12"]
    assert "versions: 77 asked for" in missing["77"]


@pytest.mark.parametrize("policy", ["all", "latest", ["1"]])
def test_a_folder_without_versions_is_version_one(tmp_path, policy):
    assert version_folders(tmp_path, policy) == {"1": tmp_path}


def test_a_version_must_not_lead_out_of_its_model(model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (model / "12").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"12 leads out of its model's folder, to .*elsewhere"):
        version_folders(model, "all")


def test_a_version_may_be_a_link_to_another(model):
    (model / "12").symlink_to(model / "9")
    assert version_folders(model, ["12"]) == {"12": model / "9"}


def test_the_one_model_file(tmp_path):
    names = ("model.pt2", "model.pt")
    with pytest.raises(ConfigError, match=r"exactly one of model.pt2, model.pt, found none"):
        only_file(tmp_path, *names)
    (tmp_path / "model.pt").write_text("")
    assert only_file(tmp_path, *names) == tmp_path / "model.pt"
    (tmp_path / "model.pt2").write_text("")
    with pytest.raises(ConfigError, match=r"found model.pt2, model.pt"):
        only_file(tmp_path, *names)


def test_the_model_file_must_not_lead_out(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "secret").write_text("")
    (tmp_path / "m" / "model.pt").symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigError, match="leads out"):
        only_file(tmp_path / "m", "model.pt")
    (tmp_path / "m" / "model.pt").unlink()
    (tmp_path / "m" / "real").write_text("")
    (tmp_path / "m" / "model.pt").symlink_to(tmp_path / "m" / "real")
    assert only_file(tmp_path / "m", "model.pt") == tmp_path / "m" / "real"


@pytest.mark.parametrize(
    ("name", "number"),
    [("v1", "1"), ("V2", "2"), ("version-3", "3"), ("version_3", "3"), ("001", "1"), ("1.0", "1")],
)
def test_a_folder_that_was_meant_to_be_a_version_is_named(tmp_path, name, number):
    """Triton and TensorFlow Serving take integers; MLflow's and others' `v1` is what people try."""
    (tmp_path / name).mkdir()
    for policy in ("all", "latest", [number]):
        with pytest.raises(ConfigError, match=f"{name} is no version.*rename {name} to {number}"):
            version_folders(tmp_path, policy)


def test_beside_versions_only_those_asked_for_are_named(model):
    (model / "v3").mkdir()
    assert list(version_folders(model, "all")) == ["2", "9", "10"]
    with pytest.raises(ConfigError, match=r"3 asked for, .*; v3 is no version.*rename v3 to 3"):
        version_folders(model, ["3"])


def test_a_missing_file_says_what_lies_there(tmp_path):
    with pytest.raises(ConfigError, match=r"one of model.onnx, found none: the folder is empty"):
        only_file(tmp_path, "model.onnx")
    (tmp_path / "net.onnx").write_text("")
    (tmp_path / "notes").mkdir()
    with pytest.raises(ConfigError, match=r"it holds net.onnx, notes/; rename net.onnx to model.onnx"):
        only_file(tmp_path, "model.onnx")
    (tmp_path / "v1").mkdir()
    with pytest.raises(ConfigError, match="rename v1 to 1"):
        only_file(tmp_path, "model.onnx")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("model.joblib", "model.joblib is a pickle, which is not loaded: export the model"),
        ("2026-01-01/", "holds 2026-01-01/; a version's folder is a positive integer"),
        ("0/", "holds 0/; a version's folder is a positive integer"),
        ("readme.txt", "holds readme.txt$"),
    ],
)
def test_what_lies_in_the_place_of_the_file(tmp_path, name, says):
    path = tmp_path / name
    path.mkdir() if name.endswith("/") else path.touch()
    with pytest.raises(ConfigError, match=says):
        only_file(tmp_path, "model.onnx")


def test_a_folder_without_versions_is_the_one_that_is_asked_for_alone(tmp_path):
    (tmp_path / "model.onnx").touch()
    assert version_folders(tmp_path, ["2"]) == {"2": tmp_path}
    assert version_folders(tmp_path, "all") == {"1": tmp_path}
    with pytest.raises(ConfigError, match="versions: 2 asked for"):
        version_folders(tmp_path, ["1", "2"])
