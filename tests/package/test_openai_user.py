"""Streamed chat completions under load, against a server whose delays and faults are known.

The times are held against what the server slept at least. Above, a busy machine may add to them.
"""

import csv
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadtests.openai_stream import Completion, events
from loadtests.payloads import WrongAnswer
from serve_app.ports import free_port
from tests.package import openai_server as server
from tests.package.openai_server import FAULTS, FIRST_S, GAP_S, OTHER_FAULTS, TOKENS, VARIANTS

pytestmark = pytest.mark.live  # none of ours, but it runs beside others
ROOT = Path(__file__).parents[2]
MAX_TOKENS = 64
FIRST_MS, GAPS_MS = FIRST_S * 1000, (TOKENS - 1) * GAP_S * 1000
WHOLE_MS = FIRST_MS + GAPS_MS
Rows = list[dict[str, str]]
Locust = Callable[..., tuple[str, Rows]]


def read(parts: list[bytes]) -> Completion:
    """The nth event comes at n seconds."""
    answer = Completion()
    for now, data in enumerate(events(b"".join(parts).splitlines(keepends=True))):
        answer.take(data, now)
    answer.check(MAX_TOKENS)
    return answer


@pytest.mark.parametrize("name", VARIANTS)
def test_events_however_they_come(name: str) -> None:
    answer = read(VARIANTS[name])
    assert (answer.times, answer.gaps, answer.ended, answer.tokens) == ([1, 2, 3], [1, 1], 6, 6)


def test_data_of_several_lines() -> None:
    lines = [b": hello\n", b"\n", b"event: x\n", b"data:1\n", b"data: 2\n", b"\n", b"data: no end\n"]
    assert list(events(lines)) == [b"1\n2"]


def test_thoughts_count_and_usage_may_come_early() -> None:
    thought = server.chunk({"reasoning_content": "Hm."}, usage={"completion_tokens": 1})
    answer = read([server.ROLE, thought, *server.GOOD[1:]])
    assert (answer.times, answer.tokens) == ([1, 2, 3, 4], 6)


@pytest.mark.parametrize("name", [name for name, (_, text) in FAULTS.items() if text != "cut off"])
def test_what_is_wrong_is_told(name: str) -> None:
    parts, text = FAULTS[name]
    with pytest.raises(WrongAnswer, match=text):
        read(parts)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server.serve() as found:
        yield found


@pytest.fixture
def locust(url: str, tmp_path: Path) -> Locust:
    def run(*arguments: str, code: int = 0, table: str = "stats") -> tuple[str, Rows]:
        """What it printed, and a table of its statistics."""
        prefix = tmp_path / "locust"
        command = [sys.executable, "-m", "locust", "-f", "loadtests/openai_user.py", "--headless"]
        options = ["--only-summary", "--csv", str(prefix), "--host", url]
        done = subprocess.run(
            [*command, *options, "--max-tokens", str(MAX_TOKENS), *arguments],
            cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        text = done.stdout + done.stderr
        assert done.returncode == code, text
        if not (path := Path(f"{prefix}_{table}.csv")).exists():
            return text, []
        with path.open() as file:
            return text, list(csv.DictReader(file))

    return run


def open_loop(rate: int, duration: int = 1) -> list[str]:
    return ["--shape", f"constant,rate={rate},duration={duration}", "--open-loop", "constant"]


def checked(rows: Rows, text: str) -> tuple[int, Callable[[str, str], float]]:
    """The number of answers, none of which failed, and times by row and column."""
    by_type = {row["Type"]: row for row in rows[:-1]}
    assert {row["Name"] for row in rows} == {"tiny", "Aggregated"}
    assert rows[-1]["Failure Count"] == "0", text
    counts = {kind: int(row["Request Count"]) for kind, row in by_type.items()}
    answers = counts["OpenAI"]
    assert counts == {"OpenAI": answers, "TTFT": answers, "ITL": answers * (TOKENS - 1)}
    assert f"tokens: {answers * TOKENS} in {answers} answers, 1.00 a chunk; " in text
    return answers, lambda kind, column: float(by_type[kind][f"{column} Response Time"])


@pytest.mark.alone
def test_tokens_are_timed_as_they_come(locust: Locust) -> None:
    text, rows = locust("--users", "2", "--spawn-rate", "2", "--run-time", "6s")
    _, ms = checked(rows, text)
    assert ms("OpenAI", "Min") >= WHOLE_MS
    # Not the chunk of the role, which comes at once; nor with the rest of the text.
    assert ms("TTFT", "Min") >= FIRST_MS
    assert ms("TTFT", "Median") < WHOLE_MS
    assert GAPS_MS / 2 < (TOKENS - 1) * ms("ITL", "Average") <= ms("OpenAI", "Average") - FIRST_MS
    parts = ms("TTFT", "Average") + (TOKENS - 1) * ms("ITL", "Average")
    assert parts == pytest.approx(ms("OpenAI", "Average"), abs=GAPS_MS / 2)
    found = re.search(r"a chunk; ([\d.]+) a second together, ([\d.]+) in one answer", text)
    assert found
    together, alone = map(float, found.groups())
    assert 0 < together <= 2 * TOKENS / WHOLE_MS * 1000
    assert 0 < alone < 2 / GAP_S


@pytest.mark.alone
def test_a_wait_for_a_connection_is_in_the_first_token(locust: Locust, url: str) -> None:
    """One connection, four answers due within a second."""
    text, rows = locust(*open_loop(4), "--users", "1", "--model", "tiny", "--host", f"{url}/openai/")
    answers, ms = checked(rows, text)
    assert answers == 4
    assert "open loop: 4 of 4 arrivals came due, 0 have no answer" in text
    waited = 3 * WHOLE_MS - 750
    assert ms("TTFT", "Max") >= waited + FIRST_MS
    assert ms("OpenAI", "Max") >= waited + WHOLE_MS
    assert ms("ITL", "Average") < 10 * GAP_S * 1000


@pytest.mark.parametrize(
    ("ttft", "itl", "share"),
    [(10**6, 10**6, 100), (FIRST_MS / 2, 10**6, 0), (10**6, GAP_S * 1000 / 2, 0)],
)
def test_the_goodput(locust: Locust, ttft: float, itl: float, share: int) -> None:
    slo = ("--slo-ttft", str(ttft), "--slo-itl", str(itl))
    text, rows = locust(*open_loop(10), "--users", "8", *slo)
    checked(rows, text)
    found = re.search(r"goodput: ([\d.]+) answers a second, (\d+)% of all", text)
    assert found
    assert int(found[2]) == share
    assert (float(found[1]) > 0) == (share > 0)


def test_several_processes_count_together(locust: Locust) -> None:
    text, rows = locust(*open_loop(10), "--users", "8", "--processes", "2")
    assert checked(rows, text)[0] == 10


def test_streams_in_pieces(locust: Locust, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n\n".join(VARIANTS))
    text, rows = locust(*open_loop(30, 2), "--users", "8", "--prompts", str(prompts))
    assert rows[-1]["Failure Count"] == "0", text
    assert "tokens: 360 in 60 answers, 2.00 a chunk" in text


def test_a_faulty_answer_is_a_failure_and_has_no_times(locust: Locust, tmp_path: Path) -> None:
    faults = {name: text for name, (_, text) in FAULTS.items()} | OTHER_FAULTS
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(faults))
    options = [*open_loop(150, 3), "--users", "16", "--prompts", str(prompts)]
    text, failures = locust(*options, code=1, table="failures")
    assert {row["Method"] for row in failures} == {"OpenAI"}
    told = " ".join(row["Error"] for row in failures)
    assert [name for name, wanted in faults.items() if not re.search(wanted, told)] == []
    assert sum(int(row["Occurrences"]) for row in failures) == 450, text
    assert "tokens:" not in text
    with (tmp_path / "locust_stats.csv").open() as file:
        assert [row["Type"] for row in csv.DictReader(file)] == ["OpenAI", ""]


def test_what_is_wrong_ends_the_run_at_once(locust: Locust, tmp_path: Path) -> None:
    for arguments, problem in (
        (["--host", f"http://127.0.0.1:{free_port()}"], "no server at http://127.0.0.1"),
        (["--max-tokens", "0"], "--max-tokens must be above 0"),
        (["--prompts", str(tmp_path)], "Is a directory"),
    ):
        text, _ = locust(*arguments, code=1)
        assert problem in text


def test_the_default_mix_has_no_llm() -> None:
    command = [sys.executable, "-m", "locust", "--list", "-f"]
    for file, there in (("locustfile", False), ("openai_user", True)):
        listed = subprocess.check_output([*command, f"loadtests/{file}.py"], cwd=ROOT, text=True)
        assert ("OpenAIUser" in listed) is there
