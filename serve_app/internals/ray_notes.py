"""Short notes that a cluster's processes leave for one another, in the memory of Ray's head."""

import contextlib

from ray.experimental import internal_kv

from serve_app.repository.stamps import APART_S

_SPACE = b"tandem"


def leave(name: str, text: str) -> None:
    """In the place of what was there; '' takes it away. Blocks for a call."""
    if text:
        internal_kv._internal_kv_put(name.encode(), text.encode(), overwrite=True, namespace=_SPACE)
    else:
        internal_kv._internal_kv_del(name.encode(), namespace=_SPACE)


def left(name: str) -> str:
    """What is there; '' for nothing. Blocks for a call."""
    found: bytes | None = internal_kv._internal_kv_get(name.encode(), namespace=_SPACE)
    return (found or b"").decode()


def progress(application: str) -> str:
    """The name of what a replica that is still coming says of itself."""
    return f"progress/{application}"


def call(application: str, moment: float) -> None:
    """A replica that waits before it tries again hears of a deploy, or a load, at that time. Blocks."""
    name = _called(application)
    if moment > float(left(name) or 0):
        leave(name, repr(moment))


def _called(application: str) -> str:
    return f"called/{application}"


class Teller:
    """Takes what such a replica says; Routers show it as why the model isn't there yet, and call it."""

    def __init__(self, application: str) -> None:
        self._name, self._told = progress(application), False
        self._called, self._heard = _called(application), 0.0

    def __call__(self, said: str) -> None:
        self._told = bool(said)
        with contextlib.suppress(Exception):  # it is only a word on the way
            leave(self._name, said)

    def deployed(self, since: float) -> bool:
        """Whether the application was deployed after that time, which is said once of each deploy."""
        try:
            moment = float(left(self._called) or 0)
        except Exception:  # Ray's head is away: it is tried in its time
            return False
        fresh = moment > max(self._heard, since - APART_S)
        self._heard = max(self._heard, moment)
        return fresh

    def done(self) -> None:
        """Nothing is said any more."""
        if self._told:
            self("")
