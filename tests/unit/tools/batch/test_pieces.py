"""Pieces hold each row of the input once, in order, whatever the chunks are in which it is read."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import ConfigError
from serve_app.tools.batch.pieces import joined, line_cuts, of_images, row_cuts
from serve_app.tools.batch.reading import FILE, PIECE, ROW, chosen, cut, table
from serve_app.tools.batch.store import listed


@given(
    st.lists(st.binary(max_size=5).map(lambda one: one.replace(b"\n", b"x")), max_size=40),
    st.booleans(),
    st.integers(1, 7),
    st.integers(1, 11),
)
def test_every_line_is_in_one_piece(lines: list[bytes], ends: bool, chunk: int, size: int) -> None:
    data = b"\n".join(lines) + (b"\n" if ends and lines else b"")
    wanted = data.split(b"\n")
    if not wanted[-1]:
        wanted.pop()  # what follows the last line's end is no line
    cuts = list(line_cuts((data[at : at + chunk] for at in range(0, len(data), chunk)), size))
    found = [
        (first + at, line)
        for first, rows, offset, length in cuts
        for at, line in enumerate(data[offset : offset + length].split(b"\n")[:rows])
    ]
    assert found == list(enumerate(wanted))
    assert all(rows == size for _, rows, _, _ in cuts[:-1])


def test_neighbours_are_joined_where_there_are_many_and_never_over_files() -> None:
    few = joined([("a", list(row_cuts(1000, 256))), ("b", list(row_cuts(300, 256)))], None)
    assert [(one.files, one.start, one.rows) for one in few] == [
        (("a",), 0, 256), (("a",), 256, 256), (("a",), 512, 256), (("a",), 768, 232),
        (("b",), 0, 256), (("b",), 256, 44),
    ]  # fmt: skip
    many = joined([("a", list(row_cuts(1_000_000, 64)))], None)
    assert sum(one.rows for one in many) == 1_000_000
    assert max(one.rows for one in many) <= 10_000
    assert [one.number for one in many] == list(range(len(many)))
    told = joined([("a", list(row_cuts(1_000_000, 1000)))], 1000)
    assert {one.rows for one in told} == {1000}


def test_images_are_shared_out() -> None:
    pieces = of_images([f"{number}.png" for number in range(1000)], None)
    assert [path for one in pieces for path in one.files] == [f"{number}.png" for number in range(1000)]
    assert len(pieces) > 8


@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_read_as_they_were_cut(tmp_path: Path, packed: bool) -> None:
    data = b"".join(b"line %d\r\n" % number for number in range(700)) + b"\xff last"
    path = tmp_path / ("a.txt.gz" if packed else "a.txt")
    path.write_bytes(gzip.compress(data) if packed else data)
    kind, files = chosen(str(path), None)
    pieces = cut(str(path), kind, files, 100)
    assert len(pieces) == 8
    tables = [table(str(path), kind, one) for one in pieces]
    rows = pa.concat_tables(tables).to_pydict()
    assert rows["text"] == [b"line %d" % number for number in range(700)] + [b"\xff last"]
    assert rows[ROW] == list(range(701))
    assert set(rows[FILE]) == {str(path)}
    assert rows[PIECE] == [number // 100 for number in range(701)]


@pytest.mark.parametrize("group", [7, 64, 10_000])
def test_parquet_is_cut_across_row_groups(tmp_path: Path, group: int) -> None:
    for name, start in (("a", 0), ("b", 500)):
        numbers = pa.table({"n": range(start, start + 500), "m": ["x"] * 500})
        pq.write_table(numbers, tmp_path / f"{name}.parquet", row_group_size=group)
    (tmp_path / "_done.txt").write_text("no input")
    kind, files = chosen(str(tmp_path), None)
    assert kind == "parquet"
    pieces = cut(str(tmp_path), kind, files, 90)
    rows = pa.concat_tables([table(str(tmp_path), kind, one) for one in pieces]).to_pydict()
    assert rows["n"] == list(range(1000))
    assert rows[ROW] == [*range(500), *range(500)]


def test_what_is_at_an_address(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/c.txt", ".hidden/d.txt", "_work/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    names = [Path(one.path).name for one in listed(str(tmp_path))]
    assert names == ["a.txt", "b.txt", "c.txt"]
    assert [Path(one.path).name for one in listed(f"file://{tmp_path}/?.txt")] == ["a.txt", "b.txt"]
    with pytest.raises(ConfigError, match="no such file"):
        listed(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="no file there"):
        listed(f"{tmp_path}/*.csv")


def test_a_folder_of_several_kinds_asks_which(tmp_path: Path) -> None:
    for name in ("a.txt", "b.parquet", "c.PNG"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ConfigError, match="images and parquet and text; --format"):
        chosen(str(tmp_path), None)
    kind, files = chosen(str(tmp_path), "images")
    assert (kind, [Path(one.path).name for one in files]) == ("images", ["c.PNG"])
    with pytest.raises(ConfigError, match="can't be read as parquet"):
        cut(str(tmp_path), "parquet", chosen(str(tmp_path), "parquet")[1], None)
