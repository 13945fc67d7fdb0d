"""Serve's log of a replica, and what Serve does to the output of the process that it is for.

In high-throughput mode Serve turns `print`, standard output and standard error into lines of that log,
says nothing to the terminal, and keeps a thousand lines in memory before it writes one.
"""

import builtins
import contextlib
import logging
import sys
from collections.abc import Callable
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

import ray
from ray.serve._private import logging_utils, replica
from ray.serve._private.constants import SERVE_LOG_REQUEST_ID, SERVE_LOGGER_NAME

SERVE = logging.getLogger(SERVE_LOGGER_NAME)
REQUEST_ID = SERVE_LOG_REQUEST_ID  # a record's attribute, which its formatter shows
_RAY = str(Path(ray.__file__).parent)


def whenever_configured(act: Callable[[], None]) -> None:
    """Call `act` now, and each time that Serve has configured this replica's log anew."""
    configure = replica.configure_component_logger

    def configured(**settings: Any) -> None:
        configure(**settings)
        act()

    replica.configure_component_logger = configured
    act()


def give_back_output() -> None:
    """Make `print` and the standard streams what they were before Serve took them."""
    builtins.print = logging_utils.buildin_print
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        while isinstance(stream, logging_utils.StreamToLogger):
            stream = stream._original_object
        setattr(sys, name, stream)


def any_text(stream: Any) -> None:
    """Let it take whatever text there is, as standard error does: file names that are no UTF-8, say."""
    with contextlib.suppress(AttributeError, ValueError, OSError):  # none of Python's files
        stream.reconfigure(errors="backslashreplace")


class ReplicaLog:
    """The file that Serve keeps for this replica, in its format, written at once."""

    def __init__(self) -> None:
        found = [one for one in SERVE.handlers if isinstance(one, MemoryHandler)]
        self._handler = found[0] if found else None
        self._file = self._handler and self._handler.target
        if isinstance(self._file, logging.FileHandler):
            self._file.errors = "backslashreplace"  # for the files after this one
            any_text(self._file.stream)
        self.to_terminal = any(type(one) is logging.StreamHandler for one in SERVE.handlers)

    def write(self, record: logging.LogRecord) -> None:
        """One record more."""
        if self._handler is not None:
            self._handler.handle(record)
            self.flush()

    def flush(self) -> None:
        """Write what Serve has kept back."""
        if self._handler is not None:
            self._handler.setTarget(self._file)  # a user's dictConfig closes all handlers, and drops it
            self._handler.flush()

    def format(self, record: logging.LogRecord) -> str:
        """As it is written: text, or JSON where `logging_config` says so."""
        formatter = getattr(self._file, "formatter", None) or logging.Formatter()
        return str(formatter.format(record))


def of_serve(record: logging.LogRecord) -> bool:
    """Whether Ray wrote it, and not a user by Serve's logger."""
    return record.pathname.startswith(_RAY)


def of_requests(record: logging.LogRecord) -> bool:
    """Whether it is a line of Serve's access log."""
    return bool(getattr(record, "serve_access_log", False))
