"""Traces: every public format, what isn't one, and the generator."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loadtests import traces
from loadtests.traces import TraceError

FORMATS = {
    "azure-2023": "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n",
    "azure-2024": "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2024-05-10 00:00:00.009930+00:00,374,44\n2024-05-10 00:00:04.324509+00:00,396,109\n",
    "burstgpt": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,374,44,418,Conversation log\n9.314579,GPT-4,396,109,505,API log\n",
    "mooncake": '{"timestamp": 1000, "input_length": 374, "output_length": 44, "hash_ids": [1]}\n'
    '{"timestamp": 5314.579, "input_length": 396, "output_length": 109, "hash_ids": []}\n',
    "plain": "other,timestamp\na,10\nb,14.314579\n",
    "bare": "10\n14.314579\n",
    "unsorted": "time\n14.314579\n10\n\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(FORMATS[name])
    trace = traces.read(path)
    assert trace.times == pytest.approx([0, 4.314579], abs=2e-6)
    if name in ("plain", "bare", "unsorted"):
        assert trace.tokens_in is trace.tokens_out is None
    else:
        assert trace.tokens_in is not None
        assert trace.tokens_out is not None
        assert trace.tokens_in.tolist() == [374, 396]
        assert trace.tokens_out.tolist() == [44, 109]
    assert trace.at_speed(2).times == pytest.approx([0, 2.1572895], abs=1e-6)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", ":1: no known header: got 'a,b', expected one with timestamp,contexttokens"),
        ("time\n1\nsoon\n", ":3: expected a time or a number, got 'soon'"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n1,2\n", ":2: expected a time or a number, got '1,2'"),
        ("time\n", "no request in it"),
        ("time\ninf\n", "a time is not finite"),
        ('{"timestamp": 1}\n', ":1: expected an object with timestamp (ms), input_length"),
    ],
)
def test_what_is_no_trace(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(TraceError) as caught:
        traces.read(path)
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)


@pytest.mark.parametrize("burstiness", [0.5, 1, 3])
def test_generated_traces(burstiness: float) -> None:
    trace = traces.generate(rate=20, duration=500, burstiness=burstiness)
    gaps = np.diff(trace.times)
    assert len(trace.times) / 500 == pytest.approx(20, rel=0.1 * max(1, burstiness))
    assert gaps.std() / gaps.mean() == pytest.approx(burstiness, rel=0.1)
    assert trace.times[-1] < 500


def test_what_the_command_writes_can_be_read_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtests.traces", "--rate", "5", "--duration", "60"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (tmp_path / "trace.csv").write_text(text)
    trace, wanted = traces.read(tmp_path / "trace.csv"), traces.generate(5, 60)
    assert trace.times == pytest.approx(wanted.times - wanted.times[0], abs=2e-6)
    assert trace.tokens_out is not None
    assert wanted.tokens_out is not None
    assert trace.tokens_out.tolist() == wanted.tokens_out.tolist()
