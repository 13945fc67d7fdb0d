"""The LLM benchmark: its client against a server of known times, its peer's arguments, its table."""

from types import SimpleNamespace
from typing import Any

import pytest

from loadtests.llm.__main__ import measure, table
from loadtests.llm.client import Order, Sample
from loadtests.llm.servers import flags
from tests.package import openai_server
from tests.package.openai_server import FIRST_S, GAP_S, TOKENS

STREAMS = 3


def server(port: int) -> Any:
    return SimpleNamespace(name="known", http_port=port, cpu=lambda: 0.0)


def order(port: int, tokens: int = TOKENS) -> Order:
    return Order(port, "tiny", STREAMS, seconds=5, tokens=tokens, warm_up=0.5)


@pytest.fixture(scope="module")
def port() -> Any:
    with openai_server.serve() as url:
        yield int(url.rpartition(":")[2])


def test_tokens_are_counted_and_timed(port: int) -> None:
    sample = measure(order(port), server(port))
    whole = FIRST_S + (TOKENS - 1) * GAP_S
    assert 0 < sample.rate <= STREAMS * TOKENS / whole * 1.2
    assert min(sample.first) >= FIRST_S
    assert min(sample.gaps) >= GAP_S * 0.9
    assert len(sample.first) == len(sample.gaps) == sample.answers >= STREAMS
    assert 0 < sample.client_cpu < 1


def test_an_answer_that_is_cut_ends_the_measurement(port: int) -> None:
    with pytest.raises(RuntimeError, match=r"answers of .* were cut"):
        measure(order(port, TOKENS + 1), server(port))


def test_a_server_that_refuses_is_named() -> None:
    with pytest.raises(RuntimeError, match="known: "):
        measure(order(1), server(1))


def test_the_peer_gets_the_same_arguments() -> None:
    engine = {"dtype": "float32", "enforce_eager": True, "enable_prefix_caching": False}
    engine |= {"structured_outputs_config": {"backend": "xgrammar"}, "max_model_len": 512}
    assert flags(engine) == [
        "--dtype", "float32", "--enforce-eager", "--no-enable-prefix-caching",
        "--structured-outputs-config", '{"backend": "xgrammar"}', "--max-model-len", "512",
    ]  # fmt: skip


def test_ratios_are_taken_round_by_round() -> None:
    def made(tokens: int, first: float) -> Sample:
        return Sample(1.0, tokens, 1, 0, [first], [0.002], 0.1, 0.5)

    ours = [made(90, 0.020), made(300, 0.010), made(100, 0.030)]
    theirs = [made(100, 0.015), made(200, 0.015), made(100, 0.015)]
    tuned = [made(200, 0.020), made(200, 0.020), made(200, 0.020)]
    lines = table({16: {"vllm": theirs, "vllm-tuned": tuned, "tandem": ours}}).splitlines()
    rates = "100.00 | 100.00 | 200.00 | 1.00x (0.90-1.50), +0.00 | 0.50x (0.45-1.50), -100.00"
    assert f"| 16 | tokens per second | {rates} |" in lines
    first = "20.00 | 15.00 | 20.00 | 1.33x (0.67-2.00), +5.00 | 1.00x (0.50-1.50), +0.00"
    assert f"| 16 | time to first token, ms | {first} |" in lines
