"""Recorded traffic: readers of public trace formats, and a generator of traces like them.

`python -m loadtests.traces --rate 5 --duration 600 > trace.csv` writes one in the Azure LLM format.
"""

import argparse
import csv
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson


class TraceError(Exception):
    """The file is no trace; names file, line and what was expected."""


@dataclass(frozen=True)
class Trace:
    """Arrivals in seconds from the first one, sorted; tokens in and out where the format has them."""

    times: np.ndarray
    tokens_in: np.ndarray | None = None
    tokens_out: np.ndarray | None = None

    def at_speed(self, speed: float) -> "Trace":
        """The same, `speed` times as fast."""
        return Trace(self.times / speed, self.tokens_in, self.tokens_out)


def _date(text: str) -> float:
    """Azure's: seven digits of a second, with or without a time zone; or seconds as they are."""
    try:
        return float(text)
    except ValueError:
        head, dot, fraction = text.strip().partition(".")
        digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
        zone = fraction[len(digits) :]
        moment = datetime.fromisoformat(f"{head}{dot}{digits[:6]}{zone}" if digits else text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()


# Columns of a format, in lower case: when, tokens in, tokens out.
_FORMATS: tuple[tuple[str, str | None, str | None], ...] = (
    ("timestamp", "contexttokens", "generatedtokens"),  # Azure LLM inference 2023 and 2024
    ("timestamp", "request tokens", "response tokens"),  # BurstGPT
    ("timestamp", "input_length", "output_length"),
    ("arrived_at", "num_prefill_tokens", "num_decode_tokens"),
    ("timestamp", None, None),
    ("time", None, None),
)


def read(path: Path) -> Trace:
    """A trace by its form: CSV with one of the known headers, one time per line, or Mooncake's JSONL."""
    text = path.read_text(encoding="utf-8-sig")
    lines = text.splitlines()
    if not lines:
        raise TraceError(f"{path}: the file is empty")
    if lines[0].startswith("{"):
        return _ordered(path, *_mooncake(path, lines))
    rows = list(csv.reader(io.StringIO(text)))
    header = [cell.strip().lower() for cell in rows[0]]
    for names in _FORMATS:
        if all(name in header for name in names if name):
            places = [header.index(name) if name else None for name in names]
            return _ordered(path, *_columns(path, rows, places, first=1))
    if len(header) == 1 and _number(header[0]):
        return _ordered(path, *_columns(path, rows, [0, None, None], first=0))
    known = "; ".join(",".join(name for name in names if name) for names in _FORMATS)
    raise TraceError(f"{path}:1: no known header: got '{','.join(rows[0])}', expected one with {known}")


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


Columns = tuple[list[float], list[float] | None, list[float] | None]


def _columns(path: Path, rows: list[list[str]], places: Sequence[int | None], first: int) -> Columns:
    kinds: tuple[Callable[[str], float], ...] = (_date, float, float)
    found: list[list[float]] = [[], [], []]
    for line, row in enumerate(rows[first:], first + 1):
        for kind, place, column in zip(kinds, places, found, strict=True):
            if place is None or not row:
                continue
            try:
                column.append(kind(row[place]))
            except (ValueError, IndexError):
                got = row[place] if place < len(row) else ",".join(row)
                raise TraceError(f"{path}:{line}: expected a time or a number, got '{got}'") from None
    times, tokens_in, tokens_out = found
    return times, tokens_in or None, tokens_out or None


def _mooncake(path: Path, lines: list[str]) -> Columns:
    found: tuple[list[float], list[float], list[float]] = ([], [], [])
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = orjson.loads(line)
            values = entry["timestamp"] / 1000, entry["input_length"], entry["output_length"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            expected = "an object with timestamp (ms), input_length, output_length"
            raise TraceError(f"{path}:{number}: expected {expected}") from None
        for column, value in zip(found, values, strict=True):
            column.append(value)
    return found


def _ordered(
    path: Path, times: list[float], tokens_in: list[float] | None, tokens_out: list[float] | None
) -> Trace:
    if not times:
        raise TraceError(f"{path}: no request in it")
    moments = np.array(times)
    if not np.isfinite(moments).all():
        raise TraceError(f"{path}: a time is not finite")
    order = np.argsort(moments, kind="stable")
    tokens = [
        None if some is None else np.array(some, dtype=np.int64)[order]
        for some in (tokens_in, tokens_out)
    ]
    return Trace(moments[order] - moments.min(), *tokens)


def generate(rate: float, duration: float, burstiness: float = 1, seed: int = 7) -> Trace:
    """Gaps of a gamma distribution: its coefficient of variation is `burstiness`, 1 being Poisson.

    Tokens are log-normal: medians of 500 in and 120 out.
    """
    chance = np.random.default_rng(seed)
    shape = 1 / burstiness**2
    times = np.zeros(0)
    while not times.size or times[-1] < duration:
        more = chance.gamma(shape, 1 / (rate * shape), max(16, int(rate * duration)))
        times = np.concatenate([times, (times[-1] if times.size else 0) + np.cumsum(more)])
    times = times[times < duration]
    tokens_in = np.maximum(1, chance.lognormal(np.log(500), 1.2, times.size)).astype(np.int64)
    tokens_out = np.maximum(1, chance.lognormal(np.log(120), 0.9, times.size)).astype(np.int64)
    return Trace(times, tokens_in, tokens_out)


def write(trace: Trace, began: datetime = datetime(2024, 5, 10, tzinfo=UTC)) -> str:
    """In the Azure LLM format."""
    tokens = [
        np.zeros_like(trace.times, dtype=np.int64) if t is None else t
        for t in (trace.tokens_in, trace.tokens_out)
    ]
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for time, before, after in zip(trace.times, *tokens, strict=True):
        moment = began + timedelta(seconds=float(time))
        lines.append(f"{moment:%Y-%m-%d %H:%M:%S.%f}+00:00,{before},{after}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.traces", description=__doc__)
    parser.add_argument("--rate", type=float, required=True, help="requests per second, on average")
    parser.add_argument("--duration", type=float, required=True, help="seconds")
    parser.add_argument("--burstiness", type=float, default=1, help="of the gaps; 1 is Poisson")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    if min(given.rate, given.duration, given.burstiness) <= 0:
        parser.error("rate, duration and burstiness must be above 0")
    sys.stdout.write(write(generate(given.rate, given.duration, given.burstiness, given.seed)))


if __name__ == "__main__":
    main()
