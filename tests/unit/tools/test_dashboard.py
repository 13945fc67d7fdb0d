"""Ray's token of this user, for `tandem local` and for those who look into it."""

from pathlib import Path

import pytest

from serve_app.tools.dashboard import own_token, token


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_what_local_uses_doctor_finds(home: Path) -> None:
    assert token() == ""
    made = own_token()
    assert len(made) == 64
    assert (token(), own_token()) == (made, made)
    file = home / ".ray" / "auth_token"
    assert file.read_text() == made
    assert file.stat().st_mode & 0o777 == 0o600


def test_one_that_is_there_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "mine").write_text("kept\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "mine"))
    assert own_token() == token() == "kept"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    assert own_token() == token() == "given"


def test_a_home_that_cannot_be_written_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("HOME", str(home / "file"))
    assert len(own_token()) == 64
    assert token() == ""
