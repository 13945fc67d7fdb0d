"""Events in files, on disk; tests/storage has those in buckets."""

import io

import orjson
import pyarrow.parquet

from serve_app.config import parse
from serve_app.config.payloads import PayloadLogger
from serve_app.observability.payloads.sender import Sender
from tests.unit.observability.payloads.sink import until
from tests.unit.observability.payloads.test_sender import ended, record


def written(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_json_lines_in_batches(tmp_path):
    config = {"url": f"file://{tmp_path}/log", "batch": {"maxEvents": 3, "maxSeconds": 60}}
    one = Sender("a", parse(PayloadLogger, config), "own")
    for index in range(7):
        one.waiting.offer(record(id=str(index)))
    until(lambda: len(written(tmp_path)) == 2)  # the seventh waits for company, or the end
    assert ended(one) == {"sent": 7}
    files = written(tmp_path)
    assert [path.suffix for path in files] == [".jsonl"] * 3
    assert all("own" in path.name for path in files)
    rows = [orjson.loads(line) for path in files for line in path.read_bytes().splitlines()]
    assert sorted(row["id"] for row in rows) == list("0123456")
    assert rows[0]["data"] == {"instances": [[1, 2]], "name": "Ann"}
    assert rows[0]["type"] == "org.kubeflow.serving.inference.request"
    assert rows[0]["datacontenttype"] == "application/json"


def test_bodies_that_are_no_json_and_no_text(tmp_path):
    one = Sender("a", parse(PayloadLogger, {"url": f"file://{tmp_path}/log"}), "own")
    kind = {"content-type": b"application/octet-stream"}
    one.waiting.offer(record(id="1", body=b"plain", **kind))
    one.waiting.offer(record(id="2", body=b"\xff\x00", **kind))
    assert ended(one) == {"sent": 2}
    first, second = [orjson.loads(line) for line in written(tmp_path)[0].read_bytes().splitlines()]
    assert (first["data"], second["data_base64"]) == ("plain", "/wA=")


def test_parquet(tmp_path):
    config = {"url": f"file://{tmp_path}/log", "format": "parquet"}
    one = Sender("a", parse(PayloadLogger, config), "own")
    one.waiting.offer(record(id="1"))
    one.waiting.offer(record("response", id="1", body=b"{}"))
    assert ended(one) == {"sent": 2}
    (file,) = written(tmp_path)
    table = pyarrow.parquet.read_table(io.BytesIO(file.read_bytes())).to_pydict()
    assert file.suffix == ".parquet"
    assert table["id"] == ["1", "1"]
    assert [orjson.loads(text) for text in table["data"]] == [{"instances": [[1, 2]], "name": "Ann"}, {}]


def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path):
    (tmp_path / "log").write_text("in the way")
    one = Sender(
        "a",
        parse(PayloadLogger, {"url": f"file://{tmp_path}/log", "batch": {"maxSeconds": 0.01}}),
        "own",
    )
    one.waiting.offer(record())
    until(lambda: one._said > 0)
    (tmp_path / "log").unlink()
    until(lambda: one.waiting.counts() == {"sent": 1})
    ended(one)
