"""Python's switch interval while something is loaded."""

import sys
import threading

import pytest

from serve_app.runtimes.short_turns import TURN_S, short_turns


def test_it_is_short_until_the_last_load_is_over():
    usual = sys.getswitchinterval()
    with short_turns():
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
        with pytest.raises(ZeroDivisionError), short_turns():
            1 / 0  # noqa: B018
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
    assert sys.getswitchinterval() == pytest.approx(usual)


def test_loads_end_in_any_order():
    usual, begun, end = sys.getswitchinterval(), threading.Event(), threading.Event()

    def load():
        with short_turns():
            begun.set()
            assert end.wait(20)

    first = threading.Thread(target=load)
    with short_turns():
        first.start()
        assert begun.wait(20)
    assert sys.getswitchinterval() == pytest.approx(TURN_S)
    end.set()
    first.join()
    assert sys.getswitchinterval() == pytest.approx(usual)
