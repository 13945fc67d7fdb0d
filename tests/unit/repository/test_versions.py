import pytest

from serve_app.errors import ConfigError
from serve_app.repository.versions import only_file, version_folders


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
