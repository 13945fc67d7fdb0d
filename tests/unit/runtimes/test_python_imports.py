"""What Python's import does on the way, where several threads import at once."""

import importlib
import sys
import threading

import pytest

from serve_app.runtimes.python_imports import Imports, look_anew


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
    cache = _Twice(["/not/there", "/nor/this"])
    monkeypatch.setattr(sys, "path_importer_cache", cache)
    look_anew()
    assert not cache


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python pops them")
def test_python_itself_fails(monkeypatch):
    monkeypatch.setattr(sys, "path_importer_cache", _Twice(["/not/there"]))
    with pytest.raises(KeyError, match="/not/there"):
        importlib.invalidate_caches()


def test_nothing_is_done_in_the_middle_of_another_thread_s_import():
    imports, begun, gate = Imports(), threading.Event(), threading.Event()
    said = []

    def slow():
        with imports.one():
            begun.set()
            assert gate.wait(30)
            said.append("imported")

    def between():
        with imports.one():
            imports.between(lambda: said.append("between"))

    threads = [threading.Thread(target=one) for one in (slow, between, between)]
    threads[0].start()
    assert begun.wait(30)
    for one in threads[1:]:
        one.start()
    for one in threads[1:]:
        one.join(0.05)
    assert not said
    gate.set()
    for one in threads:
        one.join(30)
    assert said == ["imported", "between", "between"]


def test_one_that_hangs_isnt_waited_for_for_ever():
    imports, begun, gate = Imports(patience=0.01), threading.Event(), threading.Event()

    def hangs():
        with imports.one():
            begun.set()
            assert gate.wait(30)

    thread = threading.Thread(target=hangs)
    thread.start()
    assert begun.wait(30)
    with imports.one():
        assert imports.between(lambda: 7) == 7
    gate.set()
    thread.join()
