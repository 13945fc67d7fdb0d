"""What Python's import does on the way."""

import importlib
import sys
import threading

import pytest

from serve_app.runtimes.python_imports import look_anew, under_way


class _Twice(dict):
    """Names of folders, where another thread drops each at the moment at which it would be dropped."""

    def __init__(self, names):
        super().__init__(dict.fromkeys(names))
        self.left = set(names)

    def __delitem__(self, name):
        super().__delitem__(name)
        if name in self.left:
            self.left.remove(name)
            raise KeyError(name)


def test_two_threads_that_look_anew(monkeypatch):
    """Python keeps None for a folder that isn't there, and drops it by its name."""
    for look in (look_anew, importlib.invalidate_caches):
        cache = _Twice(["/not/there", "/nor/this"])
        monkeypatch.setattr(sys, "path_importer_cache", cache)
        if look is look_anew:
            look()
            assert not cache
        elif sys.version_info < (3, 13):
            with pytest.raises(KeyError, match="/not/there"):
                look()


def test_a_module_that_is_being_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slow_import.py").write_text(
        "import slow_gate\nslow_gate.begun.set()\nslow_gate.gate.wait(30)\n"
    )
    (tmp_path / "slow_gate.py").write_text(
        "import threading\nbegun, gate = threading.Event(), threading.Event()\n"
    )
    gate = importlib.import_module("slow_gate")
    thread = threading.Thread(target=importlib.import_module, args=("slow_import",))
    thread.start()
    try:
        assert gate.begun.wait(30)
        assert under_way(sys.modules["slow_import"])
        assert not under_way(gate)
        gate.gate.set()
        thread.join()
        assert not under_way(sys.modules["slow_import"])
    finally:
        gate.gate.set()
        del sys.modules["slow_import"], sys.modules["slow_gate"]
