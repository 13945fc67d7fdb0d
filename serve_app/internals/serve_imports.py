"""What Serve imports on the way that nothing here needs."""

import importlib
import sys

_UTILS = "ray.serve._private.utils"


def light() -> None:
    """Import Serve without pandas, which it takes along wherever that is installed, in each process:
    70 MB and 0.2 s, for an encoder of data frames. Whoever imports pandas afterwards has it."""
    if _UTILS not in sys.modules and "pandas" not in sys.modules:
        sys.modules["pandas"] = None  # type: ignore[assignment]
        try:
            importlib.import_module(_UTILS)
        finally:
            del sys.modules["pandas"]
