"""A standard stream that the replica's log hears too, and handlers for both."""

import io
import logging

import pytest

from serve_app.core.asking import ASKING
from serve_app.observability.output import Everywhere, ForServe, Tee


class Kept:
    """A replica's log, in memory."""

    to_terminal = False

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ids: list[str] = []
        self.flushed = 0

    def write(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.ids.append(getattr(record, "request_id", ""))

    def flush(self) -> None:
        self.flushed += 1

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname} {record.getMessage()}"


@pytest.fixture
def log():
    return Kept()


@pytest.fixture
def terminal():
    return io.StringIO()


def made(**more) -> logging.LogRecord:
    about = {"msg": "hello", "levelno": logging.INFO, "levelname": "INFO", "pathname": "/user/model.py"}
    return logging.makeLogRecord(about | more)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (["a\n"], ["a"]),
        (["a", "b", "\n"], ["ab"]),
        (["a\nb\nc"], ["a", "b"]),  # the last is no line yet
        (["a\r\n", "\n"], ["a"]),  # and an empty one nothing to keep
        (["\r 10 %", "\r 20 %", "\rdone\n"], ["done"]),  # a progress bar
        (["x" * 70_000], ["x" * 70_000]),  # never ends
        (["100 % {} %s\n"], ["100 % {} %s"]),
    ],
)
def test_lines_are_kept_and_everything_goes_to_the_stream(log, terminal, written, kept):
    tee = Tee(terminal, "stdout", log)
    for text in written:
        assert tee.write(text) == len(text)
    assert terminal.getvalue() == "".join(written)
    assert log.lines == kept


def test_it_is_the_stream_in_all_else(log, terminal):
    tee = Tee(terminal, "stdout", log)
    tee.writelines(["a\n", "b\n"])
    print("c", "d", sep="-", file=tee, flush=True)
    assert log.lines == ["a", "b", "c-d"]
    assert tee.isatty() is False
    assert tee.getvalue() == "a\nb\nc-d\n"


def test_a_line_says_for_which_request_it_was_written(log, terminal):
    tee = Tee(terminal, "stdout", log)
    ASKING.set(("r1",))
    tee.write("hello\n")
    ASKING.set(())
    tee.write("hello\n")
    assert log.ids == ["r1", ""]


def test_a_log_that_can_t_be_written_doesn_t_go_in_circles(terminal):
    class Broken(Kept):
        def write(self, record: logging.LogRecord) -> None:
            tee.write("can't\n")
            raise OSError("the disk is full")

    tee = Tee(terminal, "stdout", Broken())
    with pytest.raises(OSError, match="the disk is full"):
        tee.write("a\n")
    assert terminal.getvalue() == "a\ncan't\n"


def test_a_record_goes_both_ways(log, terminal):
    Everywhere(terminal, log).handle(made())
    assert (terminal.getvalue(), log.lines) == ("INFO hello\n", ["hello"])


@pytest.mark.parametrize(
    ("record", "shown", "flushed"),
    [
        (made(), "INFO hello\n", 1),
        (made(pathname=logging.__file__), "INFO hello\n", 1),
        (made(serve_access_log=True), "", 0),
    ],
)
def test_what_users_write_by_serve_s_logger_is_shown(log, terminal, record, shown, flushed):
    ForServe(terminal, log).handle(record)
    assert (terminal.getvalue(), log.flushed, log.lines) == (shown, flushed, [])


@pytest.mark.parametrize(("level", "shown"), [(logging.INFO, ""), (logging.WARNING, "WARNING hello\n")])
def test_of_what_serve_itself_writes_warnings_are(log, terminal, level, shown):
    import ray.serve

    by_serve = made(pathname=ray.serve.__file__, levelno=level, levelname=logging.getLevelName(level))
    ForServe(terminal, log).handle(by_serve)
    assert terminal.getvalue() == shown
    assert log.flushed == 1


def test_where_serve_shows_its_log_nobody_says_it_twice(log, terminal):
    log.to_terminal = True
    ForServe(terminal, log).handle(made())
    assert (terminal.getvalue(), log.flushed) == ("", 1)
