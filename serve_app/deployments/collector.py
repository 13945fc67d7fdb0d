"""Python's garbage collector in a process that answers requests."""

import gc

# By default the youngest generation is searched every 700 objects, a few requests' worth.
_YOUNGEST = 20_000


def calm() -> None:
    """To be called when something was loaded: what lives now will stay.

    Ray, torch and a model are a million objects. A full collection walks them all, a tenth of a
    second in which nothing is answered; frozen, they are walked no more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNGEST, 20, 20)
