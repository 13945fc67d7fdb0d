"""Folders of one's own."""

import pytest

from serve_app.private import private


def test_it_is_made_and_is_nobody_else_s(tmp_path):
    folder = tmp_path / "a" / "b"
    assert private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private(folder)


def test_one_that_others_may_look_into_or_that_is_elsewhere_is_not(tmp_path, monkeypatch):
    private(tmp_path / "own")
    (tmp_path / "link").symlink_to(tmp_path / "own")
    assert not private(tmp_path / "link")
    (tmp_path / "own").chmod(0o750)
    assert not private(tmp_path / "own")
    (tmp_path / "own").chmod(0o700)
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    assert not private(tmp_path / "own")


def test_where_nothing_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        private(tmp_path / "file" / "below")
