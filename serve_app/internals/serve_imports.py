"""What Serve imports on the way that nothing here needs."""

import gc
import importlib
import sys

from serve_app.runtimes.freeze_gc import paused_gc

_UTILS = "ray.serve._private.utils"


def light() -> None:
    """Import Serve without pandas, which it takes along wherever that is installed, in each process:
    70 MB and 0.2 s, for an encoder of data frames. Whoever imports pandas afterwards has it."""
    if _UTILS in sys.modules:
        return
    without = "pandas" not in sys.modules
    if without:
        sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        with paused_gc():
            importlib.import_module(_UTILS)
    finally:
        if without:
            del sys.modules["pandas"]
    gc.freeze()  # what was imported stays
