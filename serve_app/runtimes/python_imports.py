"""What Python's import does on the way, where several threads import at once."""

import contextlib
import importlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
_LOOKING = threading.Lock()


def look_anew() -> None:
    """Have the next import look into the folders again. Before Python 3.13, of two threads that do so
    at once one gets a KeyError: each drops what the other has dropped meanwhile."""
    with _LOOKING:
        while True:
            try:
                return importlib.invalidate_caches()
            except KeyError:  # somebody else's thread: a package may do it, too
                continue


class Imports:
    """Those that are under way, by thread. A module that is taken out of `sys.modules` while a thread
    imports it fails there with a KeyError. `patience`: seconds; an import may hang."""

    def __init__(self, patience: float = 20) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._under_way: Counter[int] = Counter()

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """This thread imports."""
        me = threading.get_ident()
        with self._changed:
            self._under_way[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= Counter([me])
                self._changed.notify_all()

    def between(self, do: Callable[[], T]) -> T:
        """What `do` says when no other thread is in the middle of one; within `one`. Of two that wait
        for that, neither waits for the other."""
        me = threading.get_ident()
        with self._changed:
            mine = self._under_way.pop(me, 0)
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: not self._under_way, self._patience)
                return do()
            finally:
                self._under_way += Counter({me: mine})
