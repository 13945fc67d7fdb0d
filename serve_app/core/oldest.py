"""Which of many was used longest ago, without looking at all of them each time."""

from collections.abc import Callable, Collection


class Oldest:
    """`used(name)` says when that was; it only ever becomes later."""

    def __init__(self, used: Callable[[str], float]) -> None:
        self._used = used
        # Of the last look at all of them, the oldest last. Who wasn't there then was used later.
        self._order: list[tuple[float, str]] = []

    def first(self, names: Collection[str], free: Callable[[str], bool]) -> str | None:
        """The oldest of `names` that is `free`; None where none is."""
        if (found := self._next(names, free)) is None:
            self._order = sorted(((self._used(name), name) for name in names), reverse=True)
            found = self._next(names, free)
        return found

    def _next(self, names: Collection[str], free: Callable[[str], bool]) -> str | None:
        kept, found = list[tuple[float, str]](), None
        while self._order and found is None:
            at, name = self._order.pop()
            if name not in names or self._used(name) != at:
                continue  # gone, or used since
            kept.append((at, name))
            if free(name):
                found = name
        self._order += reversed(kept)
        return found
