"""What an engine is asked for a row, and how its rows become pieces again. No engine here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from serve_app.errors import ConfigError
from serve_app.tools.batch.job import Counts, Job
from serve_app.tools.batch.llm import answered, asked, gathered, tokens
from serve_app.tools.batch.pieces import Piece
from serve_app.tools.batch.predict import Work
from serve_app.tools.batch.reading import FILE, PIECE, ROW
from serve_app.tools.batch.store import Store

WORK = Work({}, "out", 16, sampling={"max_tokens": 3})


def row(number: int, **columns: Any) -> dict[str, Any]:
    return {PIECE: number // 4, FILE: "f", ROW: number, **columns}


@pytest.mark.parametrize(
    ("work", "columns", "wanted"),
    [
        (WORK, {"text": b"hello"}, {"prompt": "hello"}),  # the only column there is
        (WORK, {"id": 1, "prompt": "hello"}, {"prompt": "hello"}),
        (Work({}, "", 1, {"prompt": "q"}), {"id": 1, "q": "hello"}, {"prompt": "hello"}),
        (Work({}, "", 1, chat=True), {"text": "hi"}, {"messages": [{"role": "user", "content": "hi"}]}),
        (WORK, {"messages": [{"role": "user", "content": "hi"}]},
         {"messages": [{"role": "user", "content": "hi"}]}),
    ],
)  # fmt: skip
def test_what_is_asked(work: Work, columns: dict[str, Any], wanted: dict[str, Any]) -> None:
    found = asked(work, row(0, **columns))
    assert found["_wrong"] == ""
    assert {name: found[name] for name in wanted} == wanted
    assert found["sampling_params"] == dict(work.sampling)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [(b"\xff", "not UTF-8"), ("", "is empty"), (None, "is empty"), (3, "is no text")],
)
def test_a_prompt_that_cannot_be_asked_costs_a_token(prompt: Any, words: str) -> None:
    found = asked(WORK, row(0, prompt=prompt))
    assert words in found["_wrong"]
    assert (found["prompt"], found["sampling_params"]) == ("-", {"max_tokens": 1})


def test_columns_that_are_not_there_are_the_jobs_mistake() -> None:
    with pytest.raises(ConfigError, match="no column for the model's input 'prompt'"):
        asked(WORK, row(0, a="x", b="y"))


def test_rows_in_any_order_are_pieces_again(tmp_path: Path) -> None:
    work = Work({}, str(tmp_path), 16, keep=("prompt",))
    job = Job(Store(str(tmp_path)), [Piece(0, ("f",), 0, 4), Piece(1, ("f",), 4, 4)], {})

    def engine() -> Iterator[dict[str, Any]]:
        answer = {"num_input_tokens": 1, "num_generated_tokens": 2}
        for number in (7, 0, 2, 4, 1, 6, 3, 5):
            asking = asked(work, row(number, prompt=b"" if number == 6 else b"p%d" % number))
            text = {"prompt": "", "generated_text": f"a{number}", **answer, "more": object()}
            if number == 1:  # the engine's own error: without the step that follows it
                yield {**asking, **text, "__inference_error__": "ValueError: too long"}
            else:
                yield answered(work, {**asking, "prompt": asking["prompt"], **answer,
                                      "generated_text": f"a{number}"})  # fmt: skip

    assert list(gathered(job, work, engine())) == [(0, Counts(3, 1)), (1, Counts(3, 1))]
    rows = pq.read_table(tmp_path).to_pydict()
    assert rows[ROW] == [0, 2, 3, 4, 5, 7]
    assert rows["generated_text"] == [f"a{number}" for number in rows[ROW]]
    texts = [one.read_text() for one in sorted(tmp_path.glob("_failed/*"))]
    failed = [json.loads(line) for text in texts for line in text.splitlines()]
    assert [(one[ROW], one["kind"]) for one in failed] == [(1, "ModelFailed"), (6, "InvalidArgument")]


def test_rows_that_are_lost_are_said(tmp_path: Path) -> None:
    job = Job(Store(str(tmp_path)), [Piece(0, ("f",), 0, 4)], {})
    with pytest.raises(ConfigError, match="the same command goes on"):
        list(gathered(job, WORK, iter([row(0)])))


def test_answers_are_greedy_unless_something_is_said() -> None:
    assert tokens({"max_tokens": 5, "top_p": 0.5}) == {"temperature": 0, "max_tokens": 5, "top_p": 0.5}
