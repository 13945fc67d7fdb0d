"""Ends for commands that stay in the foreground: after a signal, and with nothing left running."""

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil

from serve_app.processes import killed

_STEP_S = 5  # for each of: Serve, Ray, what is left
_ON_ITS_WAY_S = 1.0  # then an exception that nobody saw is lost, and another is raised
_PATIENCE_S = 4 * _STEP_S  # for all of them; who takes longer is killed
_LOOK_S = 0.5
_STOPS, _ASKED = b".", b"s"  # a child's words: it stops; a signal asked for it
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SUBREAPER, _DEATH_SIGNAL = 36, 1  # of prctl, linux/prctl.h


_stopping = threading.Event()
_raised = [-_ON_ITS_WAY_S]  # when signals were turned into exceptions


class _Stop(BaseException):
    """A signal asked for the end. Not an Exception: nothing on the way may swallow it."""


@contextlib.contextmanager
def everything_stopped() -> Iterator[None]:
    """Whatever happens inside, no process started in it outlives it.

    What stands inside runs in a child. Ray's compiled code can end a process at once, which then
    could clean up nothing; this process has none of it, and stays behind to sweep. Where both are
    killed, a third one does (`guard.own_folder`).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent, asked = os.getpid(), threading.Event()
    told, stops = os.pipe()
    # Orphans become children of this process, so that none can escape the last sweep.
    _prctl(_SUBREAPER, 1)
    _on_signals(lambda *_: asked.set())
    if child := os.fork():
        os.close(stops)
        sys.exit(_watched(child, asked, told))
    os.close(told)
    _prctl(_DEATH_SIGNAL, signal.SIGTERM)
    stop_on_signals()
    if os.getppid() != parent:  # it died before that was asked for
        sys.exit(1)
    try:
        try:
            yield
        except (_Stop, SystemError) as error:
            if not _asks(error):
                raise
            _tell(stops, _ASKED)
            print("stopping", flush=True)
        finally:
            _stop_for_good(stops)
    except _Stop:  # another signal, before signals were ignored
        _stop_for_good(stops)


def _asks(error: BaseException | None) -> bool:
    """Whether it is a _Stop: raised inside Ray's compiled code, one comes out behind SystemErrors."""
    while error is not None and not isinstance(error, _Stop):
        error = error.__cause__ or error.__context__
    return error is not None


def leave_on_signals() -> None:
    """SIGINT and SIGTERM end this process cleanly: for the time before anything was started."""
    _on_signals(_leave)


def stop_on_signals() -> None:
    """SIGINT and SIGTERM end what stands inside `everything_stopped`."""
    _on_signals(_raise_stop)


def _watched(child: int, asked: threading.Event, told: int) -> int:
    """Wait for the child, hand on a signal, end what is left: the exit status of all.

    From `told` the child's words can be read.
    """
    deadline = None
    while (ended := os.waitpid(-1, os.WNOHANG))[0] != child:
        if ended[0]:  # an orphan
            continue
        if not asked.is_set():
            asked.wait(0.5)
            continue
        deadline = deadline or time.monotonic() + _PATIENCE_S
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        # Until it stops, again and again: an exception raised in a destructor is lost.
        elif not select.select([told], [], [], 0)[0]:
            os.kill(child, signal.SIGTERM)
        time.sleep(0.2)
    code = os.waitstatus_to_exitcode(ended[1])
    if code < 0 and -code not in _SIGNALS and not asked.is_set():
        print(f"ended by {signal.Signals(-code).name}", file=sys.stderr, flush=True)
    _sweep()
    # Whoever asked for the end has it, however Ray's compiled code ended the child on the way there.
    said = os.read(told, 16) if select.select([told], [], [], 0)[0] else b""
    if asked.is_set() or _ASKED in said:
        return 0
    return code if code >= 0 else 1


def lives_with(processes: list[psutil.Process]) -> None:
    """From here on, one of these that ends by itself takes everything with it.

    At once: calls to a Ray that is half gone take a minute to fail.
    """

    def watch() -> None:
        while all(map(_runs, processes)):
            time.sleep(_LOOK_S)
        time.sleep(_LOOK_S)  # a stop, if it is one, has begun by then
        if not _stopping.is_set():
            names = " and ".join(sorted(names_of[one.pid] for one in processes if not _runs(one)))
            print(f"Ray has stopped: {names} ended", file=sys.stderr, flush=True)
            os._exit(1)

    names_of = {one.pid: one.name() for one in processes}
    threading.Thread(target=watch, daemon=True).start()


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _stop_for_good(stops: int) -> None:
    """However many signals come meanwhile: all of a group are told, and told again."""
    while True:
        try:
            return _stop_all(stops)
        except _Stop:
            continue


def _stop_all(stops: int) -> None:
    _stopping.set()
    _on_signals(signal.SIG_IGN)
    _tell(stops, _STOPS)
    steps = []
    if "ray" in sys.modules:
        import ray
        from ray import serve

        steps = [serve.shutdown, ray.shutdown] if ray.is_initialized() else []
    for step in steps:
        thread = threading.Thread(target=step, daemon=True)
        thread.start()
        thread.join(_STEP_S)
    _sweep()


def _tell(stops: int, word: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody is left to be told
        os.write(stops, word)


def _sweep() -> None:
    left = psutil.Process().children(recursive=True)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    killed(left, _STEP_S / 2)


def _prctl(option: int, value: int) -> None:
    """Nothing, where the system isn't Linux."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _leave(*_: object) -> None:
    print("stopping", flush=True)
    sys.exit(0)


def _raise_stop(*_: object) -> None:
    # Another one while the first is on its way out would come between frames that expect none.
    if _stopping.is_set() or time.monotonic() - _raised[-1] < _ON_ITS_WAY_S:
        return
    _raised.append(time.monotonic())
    raise _Stop


def _on_signals(handler: Any) -> None:
    for number in _SIGNALS:
        signal.signal(number, handler)
