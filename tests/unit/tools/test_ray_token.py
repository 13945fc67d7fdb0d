"""Ray's token is its owner's alone, and `tandem run`, `local` and those who look into them share it."""

import stat
from pathlib import Path

import pytest

from serve_app.tools.ray_token import own_token, token


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_one_is_made_for_its_owner_and_stays(home: Path) -> None:
    assert token() == ""
    made, file = own_token(), home / ".ray" / "auth_token"
    assert len(bytes.fromhex(made)) == 32
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert (token(), own_token(), file.read_text()) == (made, made, made)


def test_one_that_others_can_read_is_closed(home: Path) -> None:
    file = home / ".ray" / "auth_token"
    file.parent.mkdir()
    file.write_text("kept\n")
    file.chmod(0o644)
    assert (own_token(), mode(file)) == ("kept", 0o600)


def test_another_place(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "mine"))
    assert own_token() == token()
    assert mode(home / "mine") == 0o600
    assert not (home / ".ray").exists()


def test_none_is_made_where_the_environment_has_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    assert own_token() == token() == "given"
    assert not (home / ".ray").exists()


def test_a_home_that_cannot_be_written_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("HOME", str(home / "file"))
    assert len(own_token()) == 64
    assert token() == ""
