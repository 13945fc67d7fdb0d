"""Whose requests spoil others' batches: they ride alone for a while."""

import time
from collections import OrderedDict

from serve_app.core.lanes import Who
from serve_app.errors import InvalidArgument, ModelFailed

AT_FAULT = (ModelFailed, InvalidArgument)  # what one request of a batch may bring on all of it
_ENOUGH = 3  # failures, each within _FORGET_S of the last
_FORGET_S = 30.0
_MOST = 1024  # clients remembered


class Blame:
    """Counts failures by client. Nobody is asked for while nothing fails."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, who: Who | None) -> None:
        """One more request of this client's that its model failed on."""
        if who is None or not (client := who()):
            return
        now = time.monotonic()
        known, last = self._failures.pop(client, (0, now))
        self._failures[client] = (known + 1 if now - last < _FORGET_S else 1), now
        if len(self._failures) > _MOST:
            self._failures.popitem(last=False)

    def alone(self, who: Who | None) -> str:
        """The client, if its requests keep failing; else ''."""
        if not self._failures or who is None:
            return ""
        known, last = self._failures.get(client := who(), (0, 0.0))
        return client if known >= _ENOUGH and time.monotonic() - last < _FORGET_S else ""
