"""What a replica's process writes, heard at once: in the terminal and in the replica's log.

User code prints, logs and raises; so do frameworks, and we. The terminal is where the process's own
output goes: to that of `tandem run`, in a pod to the pod's.
"""

import contextlib
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from serve_app.core.asking import asked_by
from serve_app.internals.serve_logs import (
    REQUEST_ID,
    SERVE,
    ReplicaLog,
    any_text,
    give_back_output,
    of_requests,
    of_serve,
    whenever_configured,
)

TANDEM = logging.getLogger("tandem")
_LONGEST = 2**16  # of a line that doesn't end


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Around a replica's start: from here on its output is heard, and why it couldn't start."""
    whenever_configured(_Output().attach)
    try:
        yield
    except Exception:
        TANDEM.exception("this replica can't start")
        raise


class _Output:
    """The handlers and streams of this process."""

    def __init__(self) -> None:
        self._level = logging.WARNING  # the root's, as Python has it

    def attach(self) -> None:
        """To the log that Serve has just configured."""
        give_back_output()
        log = ReplicaLog()
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, Tee):
                stream.log = log
            else:
                setattr(sys, name, Tee(stream, name, log))
        for handler in SERVE.handlers:
            stream = getattr(handler, "stream", None)
            if isinstance(handler, logging.StreamHandler) and isinstance(stream, Tee):
                handler.setStream(stream.stream)  # Serve writes to both by itself
        terminal = sys.stderr.stream  # type: ignore[union-attr]  # a Tee by now
        any_text(terminal)
        everywhere = Everywhere(terminal, log)
        # Not a handler of the root logger: with one there, a user's basicConfig would do nothing.
        logging.lastResort = everywhere
        TANDEM.handlers, TANDEM.propagate = [everywhere], False
        TANDEM.setLevel(SERVE.level)
        SERVE.addHandler(ForServe(terminal, log))
        SERVE.addFilter(_name_request)
        root = logging.getLogger()
        if root.level == self._level:  # else it is a user's
            self._level = SERVE.level
            root.setLevel(self._level)


class Everywhere(logging.Handler):
    """To the terminal and to the replica's log."""

    def __init__(self, terminal: TextIO, log: ReplicaLog) -> None:
        super().__init__()
        self._terminal, self._log = terminal, log

    def emit(self, record: logging.LogRecord) -> None:
        """Both, with the id of the request that it is about."""
        try:
            _name_request(record)
            self._log.write(record)
            self._terminal.write(f"{self._log.format(record)}\n")
            self._terminal.flush()
        except Exception:
            self.handleError(record)


class ForServe(Everywhere):
    """Beside Serve's own handlers, which have put the record into the replica's log already."""

    def emit(self, record: logging.LogRecord) -> None:
        """What users write by Serve's logger, and Serve's warnings, at once."""
        if of_requests(record):
            return
        try:
            self._log.flush()
            serves = of_serve(record) and record.levelno < logging.WARNING
            if not serves and not self._log.to_terminal:
                self._terminal.write(f"{self._log.format(record)}\n")
                self._terminal.flush()
        except Exception:
            self.handleError(record)


class Tee:
    """A standard stream whose lines are in the replica's log as well."""

    def __init__(self, stream: TextIO, name: str, log: ReplicaLog) -> None:
        self.stream, self.name, self.log = stream, name, log
        self._line, self._lock, self._busy = "", threading.RLock(), False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """As the stream has it."""
        written = self.stream.write(text)
        with self._lock:
            if not self._busy:  # else the log couldn't be written, and says so here
                self._busy = True
                try:
                    self._keep(text)
                finally:
                    self._busy = False
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        """As the stream has it."""
        for line in lines:
            self.write(line)

    def end_line(self) -> None:
        """Before others write a line to where the stream leads."""
        if self._line:
            self.write("\n")

    def _keep(self, text: str) -> None:
        *lines, rest = (self._line + text).split("\n")
        if len(rest) > _LONGEST:
            lines, rest = [*lines, rest], ""
        # What a progress bar writes over itself isn't kept.
        self._line = rest.rpartition("\r")[2] if not rest.endswith("\r") else rest
        for line in lines:
            if shown := line.rstrip("\r").rpartition("\r")[2]:
                record = logging.LogRecord(self.name, logging.INFO, "", 0, shown, None, None)
                _name_request(record)
                self.log.write(record)


def _name_request(record: logging.LogRecord) -> bool:
    """A filter that lets all pass: what is written for a request says for which."""
    if (ids := asked_by()) and not hasattr(record, REQUEST_ID):
        setattr(record, REQUEST_ID, ids)
    return True
