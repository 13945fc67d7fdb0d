"""Ends for commands that stay in the foreground: after a signal, and with nothing left running."""

import contextlib
import ctypes
import signal
import threading
from collections.abc import Iterator
from typing import Any

import psutil

from serve_app.processes import killed

_STEP_S = 5  # for each of: Serve, Ray, what is left


class _Stop(BaseException):
    """A signal asked for the end. Not an Exception: nothing on the way may swallow it."""


@contextlib.contextmanager
def everything_stopped() -> Iterator[None]:
    """Whatever happens inside, no process started in it outlives it."""
    # Orphans become children of this process, so that none can escape the last sweep.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    stop_on_signals()
    try:
        yield
    except (_Stop, SystemError) as error:
        # Raised inside Ray's compiled code, _Stop comes out as the context of a SystemError.
        if not isinstance(error, _Stop) and not isinstance(error.__context__, _Stop):
            raise
        print("stopping", flush=True)
    finally:
        _on_signals(signal.SIG_IGN)
        _stop_all()


def _stop_all() -> None:
    import ray
    from ray import serve

    started = psutil.Process().children(recursive=True)
    for step in (serve.shutdown, ray.shutdown) if ray.is_initialized() else ():
        thread = threading.Thread(target=step, daemon=True)
        thread.start()
        thread.join(_STEP_S)
    left = {*started, *psutil.Process().children(recursive=True)}
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    killed(left, _STEP_S / 2)


def stop_on_signals() -> None:
    """SIGINT and SIGTERM end what stands inside `everything_stopped`."""
    _on_signals(_raise_stop)


def _raise_stop(*_: object) -> None:
    raise _Stop


def _on_signals(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)
