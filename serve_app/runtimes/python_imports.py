"""What Python's import does on the way, where several threads import at once."""

import importlib
import threading
from types import ModuleType

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


def under_way(module: ModuleType) -> bool:
    """Whether a thread is importing it, for whom it has to stay in `sys.modules`."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
