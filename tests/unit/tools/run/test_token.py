"""Ray's token is its owner's alone."""

import stat

import pytest

from serve_app.tools.run.token import private_token


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_one_is_made_for_its_owner(home):
    private_token()
    made = home / ".ray" / "auth_token"
    assert (mode(made), mode(made.parent)) == (0o600, 0o700)
    before = made.read_text()
    assert len(bytes.fromhex(before)) == 32
    private_token()
    assert made.read_text() == before


def test_one_that_others_can_read_is_closed(home):
    made = home / ".ray" / "auth_token"
    made.parent.mkdir()
    made.write_text("token")
    made.chmod(0o644)
    private_token()
    assert (mode(made), made.read_text()) == (0o600, "token")


def test_another_place(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "mine"))
    private_token()
    assert mode(home / "mine") == 0o600
    assert not (home / ".ray").exists()


def test_none_where_the_environment_has_it(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "token")
    private_token()
    assert not (home / ".ray").exists()


def test_nowhere_to_write(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/proc/none/token")
    private_token()
