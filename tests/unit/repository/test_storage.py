import pytest

from serve_app.errors import ConfigError
from serve_app.repository.addresses import ROOT_VARIABLE, VOLUMES_VARIABLE
from serve_app.repository.storage import local_folder


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    (tmp_path / "models" / "a b").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    "form",
    [
        "{root}/models/a b",
        "models/a b",
        "./models/../models/a b",
        "file://{root}/models/a b",
        "file://{root}/models/a%20b",
        "file://localhost{root}/models/a%20b",
    ],
)
def test_the_forms_of_a_local_folder(root, form):
    assert local_folder(form.format(root=root)) == root / "models" / "a b"


def test_relative_to_the_working_directory_without_the_variable(root, monkeypatch):
    monkeypatch.delenv(ROOT_VARIABLE)
    monkeypatch.chdir(root / "models")
    assert local_folder("a b") == root / "models" / "a b"


def test_a_missing_folder_says_where_it_was_looked_for(root):
    with pytest.raises(ConfigError, match=f"'models/b': no folder at {root}/models/b"):
        local_folder("models/b")
    (root / "file").write_text("")
    with pytest.raises(ConfigError, match=f"'file': {root}/file is no folder"):
        local_folder("file")
    with pytest.raises(ConfigError, match=f"did you mean {root}/models/a b"):
        local_folder("models/a_b")
    with pytest.raises(ConfigError, match="storageUri"):
        local_folder("x" * 5000)
    (root / "round").symlink_to(root / "round")
    with pytest.raises(ConfigError, match="storageUri"):
        local_folder("round")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("fil:///m", "no support for fil://; did you mean file://?"),
        ("ftp://host/m", "no support for ftp://.*a folder (a path) or one of file://, pvc://, s3://"),
        ("s3a://bucket/m", "no support for s3a://; did you mean s3://?"),
        ("S3://bucket/m", "did you mean s3://?"),
        ("https//host/m", "no folder at"),
        ("FILE:///m", "did you mean file://?"),
        ("file://models/m", "takes an absolute path.*got host 'models'"),
        ("file:///m?version=1", "no query or fragment"),
        ("file:///m#1", "no query or fragment"),
    ],
)
def test_other_uris_are_refused(root, uri, message):
    with pytest.raises(
        ConfigError, match=message.replace("?", r"\?").replace("(a path)", r"\(a path\)")
    ):
        local_folder(uri)


def test_a_volume_is_where_it_is_mounted(root, monkeypatch):
    monkeypatch.setenv(VOLUMES_VARIABLE, str(root))
    assert local_folder("pvc://models/a b") == root / "models" / "a b"
    assert local_folder("pvc://models") == root / "models"
    monkeypatch.delenv(VOLUMES_VARIABLE)
    with pytest.raises(ConfigError, match="no folder at /mnt/pvc/claim/digits"):
        local_folder("pvc://claim/digits")
    with pytest.raises(ConfigError, match="pvc://CLAIM/PATH is wanted"):
        local_folder("pvc://models/../../etc")


def test_a_link_to_a_model_is_followed(root):
    (root / "link").symlink_to(root / "models" / "a b")
    assert local_folder("link") == root / "models" / "a b"


@pytest.mark.parametrize(
    "uri",
    [
        "https://user:hunter2@host/m",
        "https://bucket.example/m?X-Amz-Signature=hunter2",
        "file://user:hunter2@host/m",
        "file:///m?token=hunter2",
        "https:/user:hunter2@host/m",
        "s3://hunter2@bucket/m",
    ],
)
def test_credentials_are_never_repeated(root, uri):
    with pytest.raises(ConfigError, match="storageUri") as refused:
        local_folder(uri)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("uri", ["~/models", "$HOME/models", "~somebody/models"])
def test_what_a_shell_would_replace_isnt_here(uri):
    with pytest.raises(ConfigError, match="neither ~ nor variables are replaced"):
        local_folder(uri)
