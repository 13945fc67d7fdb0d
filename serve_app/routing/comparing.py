"""Two answers to one request held against each other: the same, or what differs, where and how much.

Outputs are compared by name, datatype and shape, then element by element. Numbers with a point may be as
far apart as `torch.testing.assert_close` lets them by their type, where nothing else is configured; all
else is exact. Two NaN at one place are the same, and so are two infinities of one sign; either beside
anything else differs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from serve_app.config import Tolerance
from serve_app.protocol.datatypes import BYTES, as_v2_array, v2_datatype
from serve_app.protocol.tensors import Arrays
from serve_app.routing.texts import Texts, agreement

_PIECE = 2**15  # elements at a time: between two of them other threads have their turn
_AS_CLOSE: dict[str, tuple[float, float]] = {  # rtol and atol: torch.testing.assert_close's
    "FP16": (1e-3, 1e-5), "BF16": (1.6e-2, 1e-5), "FP32": (1.3e-6, 1e-5), "FP64": (1e-7, 1e-7),
}  # fmt: skip
_SHOWN = 60  # characters of an element
_PLAIN = Tolerance()
ERROR = "error"
TEXT = "text_output"  # of LLMs, by V2 and by OpenAI's routes


@dataclass(frozen=True, slots=True)
class Difference:
    """In `output`. `kind`: value, text, shape, datatype, output (one side has it alone), or error.

    `worst`: how much, in the measure of the kind: the largest |difference|, 1 - the least cosine,
    1 - the agreement, else the share of elements. `shown` has values out of the answers, `text` none.
    """

    output: str
    kind: str
    text: str
    worst: float = 1.0
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """All that differs; and of generated texts how far they agree, whatever that counts as."""

    differences: tuple[Difference, ...] = ()
    texts: Texts | None = None

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def compare(
    answer: Arrays, copy: Arrays, tolerances: Mapping[str, Tolerance], generated: bool = False
) -> Compared:
    """`answer` is what its client got. `generated`: TEXT is what an LLM wrote."""
    found: list[Difference] = []
    texts: Texts | None = None
    for name in dict.fromkeys((*answer, *copy)):
        tolerance = tolerances.get(name, _PLAIN)
        if tolerance.ignore:
            continue
        one, other = answer.get(name), copy.get(name)
        if one is None or other is None:
            side = "copy" if one is None else "answer"
            found.append(Difference(name, "output", f"only the {side} has it"))
            continue
        one, other = as_v2_array(one), as_v2_array(other)
        written, both = name == TEXT and generated, None
        if (written or tolerance.agreement is not None) and one.dtype == other.dtype == BYTES:
            both = agreement(one, other)
            texts = both if written else texts
        found.extend(_output(name, one, other, tolerance, both))
    return Compared(tuple(found), texts)


def failures(answer: str, copy: str) -> Compared:
    """Of two sides that each have the kind of an error, or '' for an answer."""
    if answer == copy:
        return Compared()
    side = "both" if answer and copy else "answer" if answer else "copy"
    text = f"{answer} and {copy}" if side == "both" else f"{answer or copy}, the other one has an answer"
    return Compared((Difference(side, ERROR, text),))


def _output(
    name: str, one: np.ndarray, other: np.ndarray, tolerance: Tolerance, texts: Texts | None
) -> Iterator[Difference]:
    datatypes = v2_datatype(one), v2_datatype(other)
    if datatypes[0] != datatypes[1]:
        yield Difference(name, "datatype", f"{datatypes[0]} and {datatypes[1]}")
    elif one.shape != other.shape:
        yield Difference(name, "shape", f"{list(one.shape)} and {list(other.shape)}")
    elif tolerance.agreement is not None and texts is not None:
        if texts.share < tolerance.agreement:
            said = f"{texts.share:.3f} of the tokens agree, {tolerance.agreement:g} are asked for"
            yield Difference(name, "text", said, 1 - texts.share, _first(one, other))
    elif tolerance.cosine is not None and one.dtype != BYTES:
        yield from _angle(name, one, other, tolerance.cosine)
    elif one.dtype == BYTES or (one.dtype.kind in "iub" and not _loose(tolerance)):
        yield from _exact(name, one, other)
    else:
        yield from _near(name, one, other, tolerance, str(datatypes[0]))


def _loose(tolerance: Tolerance) -> bool:
    return tolerance.rtol is not None or tolerance.atol is not None


def _exact(name: str, one: np.ndarray, other: np.ndarray) -> Iterator[Difference]:
    count, first = 0, -1
    flat, beside = one.reshape(-1), other.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        wrong = np.flatnonzero(flat[start : start + _PIECE] != beside[start : start + _PIECE])
        if wrong.size and first < 0:
            first = start + int(wrong[0])
        count += wrong.size
    if count:
        text = f"{count} of {flat.size} elements, the first at {_place(first, one.shape)}"
        values = f"{_shown(flat[first])} and {_shown(beside[first])}"
        kind = "text" if one.dtype == BYTES else "value"
        yield Difference(name, kind, text, count / flat.size, values)


def _near(
    name: str, one: np.ndarray, other: np.ndarray, tolerance: Tolerance, datatype: str
) -> Iterator[Difference]:
    if _loose(tolerance):
        rtol, atol = tolerance.rtol or 0.0, tolerance.atol or 0.0
    else:
        rtol, atol = _AS_CLOSE.get(datatype, (0.0, 0.0))
    flat, beside = one.reshape(-1), other.reshape(-1)
    count, most, at = 0, -1.0, 0
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, _PIECE):
            a = flat[start : start + _PIECE].astype(np.float64)
            b = beside[start : start + _PIECE].astype(np.float64)
            apart = np.abs(b - a)
            # Infinite ones and NaN are near nothing, and each the same as its like.
            fine = np.isfinite(a) & np.isfinite(b) & (apart <= atol + rtol * np.abs(a))
            wrong = np.flatnonzero(~(fine | (a == b) | (np.isnan(a) & np.isnan(b))))
            if wrong.size:
                count += wrong.size
                amount = np.nan_to_num(apart[wrong], nan=np.inf, posinf=np.inf)
                worst = int(amount.argmax())
                if amount[worst] > most:
                    most, at = float(amount[worst]), start + int(wrong[worst])
    if count:
        text = (
            f"{count} of {flat.size} elements by more than {atol:g} + {rtol:g} · |answer|, "
            f"most at {_place(at, one.shape)}, by {most:.3g}"
        )
        yield Difference(name, "value", text, most, f"{_shown(flat[at])} and {_shown(beside[at])}")


def _angle(name: str, one: np.ndarray, other: np.ndarray, least: float) -> Iterator[Difference]:
    width = one.shape[-1] if one.ndim else 1
    if not one.size:
        return
    rows, beside = one.reshape(-1, width), other.reshape(-1, width)
    worst, at = np.inf, 0
    step = max(1, _PIECE // width)
    for start in range(0, len(rows), step):
        found = cosines(rows[start : start + step], beside[start : start + step])
        lowest = int(found.argmin())
        if found[lowest] < worst:
            worst, at = float(found[lowest]), start + lowest
    if worst < least:
        where = _place(at, one.shape[:-1])
        text = f"cosine {worst:.6g} at {where}, {least:g} is asked for"
        yield Difference(name, "value", text, 1 - worst)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of each two rows; 1 for the same, zeros too, and 0 for others that have no angle."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    same = np.all((a == b) | (np.isnan(a) & np.isnan(b)), axis=1)
    with np.errstate(all="ignore"):
        # Scaled first: squares of what is very large or small are infinite or nothing.
        a, b = (x / np.max(np.abs(x), axis=1, keepdims=True) for x in (a, b))
        found = np.sum(a * b, axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    odd: np.ndarray = ~np.isfinite(found)
    found[odd] = 0.0
    found[same] = 1.0
    return np.asarray(np.clip(found, -1.0, 1.0))


def _place(index: int, shape: tuple[int, ...]) -> str:
    return str([int(one) for one in np.unravel_index(index, shape)] if shape else [])


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        text = repr(value[:_SHOWN].decode("utf-8", "backslashreplace"))
        return text if len(value) <= _SHOWN else f"{text}…"
    return f"{value:.6g}" if isinstance(value, np.floating) else str(value)


def _first(one: np.ndarray, other: np.ndarray) -> str:
    pairs = zip(one.reshape(-1), other.reshape(-1), strict=True)
    return next((f"{_shown(a)} and {_shown(b)}" for a, b in pairs if a != b), "")
