import os
import time

import pytest

from serve_app.errors import ConfigError
from serve_app.releases.uploads import Published, packed, unpacked

FILES = {"1/model.onnx": b"abc", "2/a/b.json": b"", "1/x.data": b"\0" * 1000}


def test_files_are_one_piece_by_its_digest():
    digest, whole = packed(FILES)
    assert unpacked(digest, whole) == FILES
    assert packed(dict(reversed(FILES.items()))) == (digest, whole)
    assert packed({**FILES, "1/model.onnx": b"abd"})[0] != digest
    with pytest.raises(ConfigError, match="aren't those"):
        unpacked(digest, whole[:-1] + b"\1")


def test_they_are_published_all_at_once(tmp_path):
    published = Published(tmp_path / "uploads")
    digest, whole = packed(FILES)
    assert not published.has(digest)
    with pytest.raises(ConfigError, match="aren't here"):
        published.folder(digest)
    published.publish(digest, whole)
    published.publish(digest, whole)  # as another Router of the machine would
    folder = tmp_path / "uploads" / digest
    assert published.folder(digest) == str(folder)
    assert (folder / "1/model.onnx").read_bytes() == b"abc"
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [digest]
    assert (tmp_path / "uploads").stat().st_mode & 0o077 == 0


def test_what_nothing_needs_goes_after_a_while(tmp_path):
    published = Published(tmp_path)
    digest, whole = packed(FILES)
    published.publish(digest, whole)
    published.prune(set())
    assert published.has(digest)  # another Router may be about to load it
    os.utime(tmp_path / digest, (time.time() - 10_000,) * 2)
    published.prune({digest})
    assert published.has(digest)
    published.prune(set())
    assert not published.has(digest)


def test_a_folder_where_others_may_write_isnt_taken(tmp_path):
    tmp_path.chmod(0o777)
    digest, whole = packed(FILES)
    (tmp_path / digest).mkdir()  # put there by somebody else
    with pytest.raises(ConfigError, match="open to others"):
        Published(tmp_path).publish(digest, whole)
    assert not Published(tmp_path).has(digest)
    with pytest.raises(ConfigError, match="aren't here"):
        Published(tmp_path).folder(digest)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="another user's"):
        Published(tmp_path / "link").publish(*packed(FILES))
