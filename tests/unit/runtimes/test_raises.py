"""User code that raises: the client's answer, and the line with its traceback and the request."""

import contextlib
import logging
import sys
from logging.config import dictConfig

import numpy as np
import pytest

from serve_app.config import ModelConfig, parse
from serve_app.core.asking import ASKING
from serve_app.errors import ConfigError, InvalidArgument, ModelFailed
from serve_app.runtimes.host import ModelHost
from serve_app.runtimes.one_version import origin

X = {"x": np.array([[1.0]], dtype=np.float32)}


class Mute(Exception):
    """Has no message to give."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Worse(Exception):
    """Ends the process rather than to say why."""

    def __str__(self) -> str:
        sys.exit(3)


CACHED = ModelFailed("kept and raised again")


class Raises:
    """Does what `how` says."""

    def __init__(self, how: str = "") -> None:
        self.how = how

    def predict(self, inputs, parameters):
        match self.how:
            case "raise":
                raise ValueError("a bad day")
            case "exit":
                sys.exit(3)
            case "stop":
                next(iter([]))
            case "interrupt":
                raise KeyboardInterrupt
            case "mute":
                raise Mute
            case "worse":
                raise Worse
            case "bytes":
                raise ValueError(b"caf\xe9".decode(errors="surrogateescape"))
            case "quiet":
                dictConfig({"version": 1})
                raise ValueError("unheard of")
            case "ours":
                raise CACHED
            case "refuse":
                raise InvalidArgument("tensor 'x': no")
            case "list":
                return [1]
        return inputs


class AsyncRaises(Raises):
    """The same on the event loop."""

    async def predict(self, inputs, parameters):
        return super().predict(inputs, parameters)


class Ends:
    """Ends the process while it loads, as a script's main would."""

    def load(self, folder):
        sys.exit(2)


class Sours(Raises):
    """Can't be closed."""

    def close(self):
        raise OSError("already gone")


class Quiets(Raises):
    """Configures logging as scripts do."""

    def load(self, folder):
        dictConfig({"version": 1})


@pytest.fixture
def host():
    with contextlib.ExitStack() as stack:

        def make(name: str, how: str = "") -> ModelHost:
            kind = f"tests.unit.runtimes.test_raises:{name}"
            data = {"name": "m", "modelFormat": "python", "class": kind}
            made = ModelHost(parse(ModelConfig, data | ({"options": {"how": how}} if how else {})))
            stack.callback(made.close)
            made.load()
            return made

        yield make


async def failed(host: ModelHost, *ids: str) -> str:
    ASKING.set(ids or ("r1",))
    with pytest.raises(ModelFailed) as found:
        await host.predict("1", X, {})
    return found.value.whole


CASES = [
    ("Raises", "raise", "ValueError: a bad day"),
    ("Raises", "exit", "SystemExit: 3"),
    ("Raises", "stop", "StopIteration"),
    ("Raises", "interrupt", "KeyboardInterrupt"),
    ("Raises", "mute", "Mute"),
    ("Raises", "worse", "Worse"),
    ("Raises", "bytes", r"ValueError: caf\udce9"),
    ("Raises", "quiet", "ValueError: unheard of"),
    ("AsyncRaises", "raise", "ValueError: a bad day"),
    ("AsyncRaises", "exit", "SystemExit: 3"),
    ("AsyncRaises", "stop", "RuntimeError: coroutine raised StopIteration"),
]


@pytest.mark.parametrize(("name", "how", "text"), CASES)
async def test_whatever_it_raises_is_answered_and_logged_with_its_traceback(
    host, caplog, name, how, text
):
    message = await failed(host(name, how))
    assert message == f"model 'm' raised {text}"  # clients are told no more than the kind
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == f"model 'm' version 1 failed on request r1: {message}"
    assert "in predict" in caplog.text  # the user's own frame
    assert "test_raises.py" in caplog.text


async def test_a_batch_s_requests_are_all_named(host, caplog):
    await failed(host("Raises", "raise"), "a", "b")
    assert "failed on a batch of 2 requests (a, b)" in caplog.text


async def test_an_answer_that_breaks_its_word_is_logged_too(host, caplog):
    await failed(host("Raises", "list"))
    assert "failed on request r1: model 'm' returned list" in caplog.text


async def test_an_error_that_is_raised_again_is_logged_again(host, caplog):
    made = host("Raises", "ours")
    assert [await failed(made) for _ in range(2)] == ["kept and raised again"] * 2
    assert len(caplog.records) == 2


async def test_a_refusal_is_the_callers_to_read(host, caplog):
    made = host("Raises", "refuse")
    with pytest.raises(InvalidArgument, match="tensor 'x': no"):
        await made.predict("1", X, {})
    assert not caplog.records


async def test_a_class_that_ends_the_process_while_it_loads_doesn_t_load(host):
    with pytest.raises(ConfigError, match=r"model 'm' version 1: SystemExit: 2") as found:
        host("Ends")
    assert isinstance(origin(found.value), SystemExit)


def test_our_own_refusals_have_no_traceback(host):
    with pytest.raises(ConfigError, match="has no predict") as found:
        host("Nothing")
    assert origin(found.value) is None


class Nothing:
    """Not a model."""


def test_one_that_can_t_be_closed_says_so_and_is_gone(host, caplog):
    host("Sours").close()
    assert "model 'm' version 1 couldn't be closed" in caplog.text
    assert "already gone" in caplog.text


def test_a_class_that_configures_logging_leaves_ours_on(host):
    kept = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        host("Quiets")
        assert not logging.getLogger("tandem").disabled
    finally:
        for one in logging.Logger.manager.loggerDict.values():
            if isinstance(one, logging.Logger):
                one.disabled = False
        logging.getLogger().handlers[:], logging.getLogger().level = kept[0], kept[1]
