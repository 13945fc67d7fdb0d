"""Which of many models are shown by name, where a report has no room for all of them."""

from collections.abc import Hashable, Set
from itertools import islice
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Shown(Generic[Key]):
    """The `most` that were noted last. One that comes is shown when another's `window` is over, the
    seconds of a report: that one counts both."""

    def __init__(self, most: int, window: float) -> None:
        self.noted: dict[Key, None] = {}  # since the last look
        self._most, self._window = max(1, most), window
        self._order: dict[Key, None] = {}  # whoever was noted longest ago first
        self._until: dict[Key, float] = {}  # of those that reports may have now

    def keys(self, now: float) -> list[Key]:
        """Those to be shown now."""
        for key in self.noted:
            self._order.pop(key, None)
        self._order |= self.noted
        self.noted.clear()
        self._until = {key: until for key, until in self._until.items() if until > now}
        shown = []
        for key in islice(reversed(self._order), self._most):
            if key in self._until or len(self._until) < self._most:
                self._until[key] = now + self._window
                shown.append(key)
        return shown[::-1]

    @property
    def known(self) -> Set[Key]:
        """All of them."""
        return self._order.keys()

    def forget(self, key: Key) -> None:
        """It isn't there any more."""
        self.noted.pop(key, None)
        self._order.pop(key, None)
