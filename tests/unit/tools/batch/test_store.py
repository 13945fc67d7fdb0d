"""What a job writes, as stores have it that aren't disks."""

from typing import Any

import pytest

from serve_app.tools.batch.store import Store

pytest.importorskip("pyarrow", reason="needs pyarrow")


class WithoutFolders:
    """Google's: a folder is gone with what was in it, and to remove it then is an error."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def delete_dir(self, path: str) -> None:
        self._fs.delete_dir(path)
        raise FileNotFoundError(path)


def test_a_folder_that_goes_with_its_files(tmp_path, monkeypatch) -> None:
    store = Store(str(tmp_path))
    store.write("_done/000001-3-0", b"")
    monkeypatch.setattr(store, "_fs", WithoutFolders(store._fs))
    store.drop_folder("_done")
    assert list(store.names("_done")) == []
