"""Rows whose process dies of them: a crash, too much memory. Nobody is left to say which one it was.

A mark lies beside the output while a piece is computed. Who finds one of an earlier try puts down each
batch too, takes apart what had a mark at a death, and gives the row up that two processes died of.
"""

from serve_app.tools.batch.store import Store

FOLDER = "_tries"
_DEATHS = 2  # of a single row; one may be the machine's


class Tries:
    """The tries at one piece."""

    def __init__(self, store: Store, piece: int) -> None:
        self._store, self._piece = store, f"{piece:06}"
        self._marks = {name for name in store.names(FOLDER) if name.startswith(self._piece)}
        self._suspicious = bool(self._marks)
        self._put(self._piece)

    def _put(self, name: str) -> None:
        if name not in self._marks:
            self._store.write(f"{FOLDER}/{name}", b"")
            self._marks.add(name)

    def deadly(self, start: int, stop: int) -> bool:
        """Whether rows `start` to `stop` are not tried together again; else they are marked."""
        if not self._suspicious:
            return False
        name = f"{self._piece}-{start}-{stop}"
        allowed = _DEATHS if stop - start == 1 else 1
        deaths = sum(f"{name}-{at}" in self._marks for at in range(allowed))
        if deaths < allowed:
            self._put(f"{name}-{deaths}")
        return deaths == allowed

    def survived(self, start: int, stop: int) -> None:
        """Nothing happened."""
        name = f"{self._piece}-{start}-{stop}-"
        for mark in [one for one in self._marks if one.startswith(name)]:
            self._drop(mark)

    def over(self) -> None:
        """The piece is finished."""
        for mark in list(self._marks):
            self._drop(mark)

    def _drop(self, mark: str) -> None:
        self._store.drop(f"{FOLDER}/{mark}")
        self._marks.discard(mark)
