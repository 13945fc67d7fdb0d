"""Python's garbage collector in a process that answers requests."""

import contextlib
import gc
from collections.abc import Iterator


def freeze_gc(youngest: int = 700) -> None:
    """To be called when something was loaded: what lives now will stay.

    Ray, torch and a model are a million objects. A full collection walks them all, a tenth of a
    second in which nothing is answered; frozen, they are walked no more. `youngest` is how many new
    objects there may be before they are searched; 700 is Python's own, a few requests' worth.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(youngest, 10, 10)
    gc.enable()  # whatever a load that never returns has paused


@contextlib.contextmanager
def paused_gc() -> Iterator[None]:
    """While a framework is imported and loads: it makes a million objects, all of them to stay, and the
    collector would walk them again and again, a tenth of the time that it takes."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
