"""What fsspec's file systems are asked, with an end to the waiting."""

import sys
from typing import Any

# After so long without a word a store is taken for away: a firewall that drops what is sent to it says
# nothing either, and the libraries would go on for half an hour.
QUIET_S = 60.0


def said(fs: Any, method: str, *args: Any, times: int = 1, **more: Any) -> Any:
    """What a method of one says. TimeoutError where one of a network takes longer than QUIET_S, so many
    times: it may be much that is sent."""
    asyn: Any = sys.modules.get("fsspec.asyn")  # with which each of those comes
    over = asyn and isinstance(fs, asyn.AsyncFileSystem)
    if not over:
        return getattr(fs, method)(*args, **more)
    try:
        return getattr(fs, method)(*args, **more, timeout=times * QUIET_S)
    except asyn.FSTimeoutError:
        raise TimeoutError(f"no answer within {times * QUIET_S:g} s") from None
