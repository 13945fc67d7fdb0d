"""Users at a steady rate, and what is known of those that still wait."""

import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from loadtests.rolling.asking import Asking
from tests.package.answering import answer, serving

pytestmark = pytest.mark.live  # none of ours, but it runs beside others


def test_what_was_asked_first_is_over_when_all_of_it_was_answered() -> None:
    held, first = threading.Event(), threading.Lock()

    def one_waits(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        if first.acquire(blocking=False):
            assert held.wait(20)
        answer(handler, b'{"error": "planted"}', 500)

    with serving(one_waits) as address, Asking(f"http://{address}", "m", rate=50) as users:
        until = time.monotonic() + 20
        while len(users.failed) < 10 and time.monotonic() < until:
            time.sleep(0.01)
        asked = users.asked
        assert (asked > 10, users.over(asked)) == (True, False)
        held.set()
        while not users.over(asked) and time.monotonic() < until:
            time.sleep(0.01)
        assert users.over(asked)
        assert len(users.failed) >= asked


def test_no_more_wait_than_may() -> None:
    """And what came late is not made up for in a burst."""
    held, here, most_here = threading.Event(), [0], [0]
    counting = threading.Lock()

    def counted(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        with counting:
            here[0] += 1
            most_here[0] = max(most_here[0], here[0])
        assert held.wait(20)
        with counting:
            here[0] -= 1
        answer(handler, b'{"error": "planted"}', 500)

    with serving(counted) as address, Asking(f"http://{address}", "m", rate=200, most=5) as users:
        until = time.monotonic() + 20
        while users.asked < 5 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.5)  # a hundred are due
        assert (users.asked, most_here[0]) == (5, 5)
        held.set()
        while len(users.failed) < 20 and time.monotonic() < until:
            time.sleep(0.01)
    assert most_here[0] <= 5
    assert {text[:3] for _, text in users.failed} == {"500"}
