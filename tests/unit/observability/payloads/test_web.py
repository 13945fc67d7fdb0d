"""Sinks whose answers come slowly, or are long."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from serve_app.config import parse
from serve_app.config.payloads import PayloadLogger
from serve_app.observability.payloads import web
from serve_app.observability.payloads.events import event_of
from serve_app.observability.payloads.faults import Cut
from serve_app.observability.payloads.record import Bytes, Record
from serve_app.observability.payloads.web import Web

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"


@contextlib.contextmanager
def sink(
    pieces: list[bytes], drips: float = 0.0, closes: bool = False
) -> Iterator[tuple[PayloadLogger, list[int]]]:
    """One that answers in these pieces, then a byte now and then, or closes; and who connected."""
    over, connected, threads = threading.Event(), list[int](), list[threading.Thread]()

    def answer(one: socket.socket) -> None:
        with one, contextlib.suppress(OSError):
            while one.recv(2**16):
                for piece in chain(pieces, repeat(b"x") if drips else ()):
                    one.sendall(piece)
                    if over.wait(drips):
                        return
                if closes:
                    return

    def take() -> None:
        with contextlib.suppress(OSError):
            while True:
                one, (_, port) = listening.accept()
                connected.append(port)
                threads.append(threading.Thread(target=answer, args=(one,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threads.append(threading.Thread(target=take))
        threads[-1].start()
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            yield parse(PayloadLogger, {"url": url}), connected
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)
            threads[0].join()


def event(logger):
    return event_of(Record("request", "r", 0.0, "m", "1", Bytes({}, [b"{}"], 2), 2, 2), logger)


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(web, "TIMEOUT_S", 0.3)


def sent(to, logger, times=2):
    for _ in range(times):
        to.send([event(logger)])
    to.close()


def test_a_body_that_drips_keeps_nobody(soon):
    """Its status says that the event is there. The connection isn't used again."""
    with sink([HEAD % 100_000], drips=0.02) as (logger, connected):
        sent(Web(logger), logger)
        assert len(connected) == 2


def test_a_head_that_drips_is_no_answer(soon):
    with sink([b"HTTP/1.1 200 OK\r\nx-long: "], drips=0.02) as (logger, _):
        to = Web(logger)
        with pytest.raises(Cut, match="no whole answer within"):
            to.send([event(logger)])
        to.close()


def test_a_long_body_isnt_read_to_its_end():
    with sink([HEAD % 10**9, b"x" * web.MOST]) as (logger, connected):
        sent(Web(logger), logger)
        assert len(connected) == 2


def test_a_short_answer_leaves_the_connection_for_the_next_event():
    with sink([HEAD % 2 + b"ok"]) as (logger, connected):
        sent(Web(logger), logger, 5)
        assert len(connected) == 1


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nok"]
)
def test_one_that_ends_with_the_connection(answer):
    with sink([answer], closes=True) as (logger, connected):
        sent(Web(logger), logger, 3)
        assert len(connected) == 3
