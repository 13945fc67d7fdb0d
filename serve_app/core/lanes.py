"""What batches are made of: requests that fit together, and their rows of the answer."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from serve_app.core.waiting import Waiting
from serve_app.errors import InvalidArgument, ModelFailed
from serve_app.protocol.tensors import Arrays, Parameters

Who = Callable[[], str]  # says who sent a request, '' when that isn't known


@dataclass(slots=True, eq=False)
class Item:
    inputs: Arrays
    rows: int
    future: asyncio.Future[Arrays]
    arrived: float
    asking: Sequence[str] = ()  # ids
    who: Who | None = None
    batch: "Batch | None" = None
    queued: bool = True  # in a lane still

    def leave(self, waiting: Waiting) -> None:
        """It waits no more."""
        if self.queued:
            self.queued = False
            waiting.ahead -= self.rows


@dataclass(slots=True, eq=False)
class Batch:
    items: list[Item]
    parameters: Parameters
    task: "asyncio.Task[None] | None" = None


@dataclass(slots=True)
class Lane:
    """Requests that fit together."""

    parameters: Parameters
    waiting: Waiting  # of all lanes together
    items: deque[Item] = field(default_factory=deque)
    rows: int = 0  # of all items: to add them up for each batch would be the square of a long queue

    def put(self, item: Item) -> None:
        """Behind the others."""
        self.items.append(item)
        self.rows += item.rows
        self.waiting.ahead += item.rows

    def pop(self) -> Item:
        """The oldest."""
        item = self.items.popleft()
        self.rows -= item.rows
        item.leave(self.waiting)
        return item

    def take(self, most: int) -> tuple[list[Item], int]:
        """Those that come next in one batch of `most` rows, others that nobody waits for any more among
        them, and how many rows there are without these.
        """
        popped: list[Item] = []
        rows = 0
        while self.items and (not rows or rows + self.items[0].rows <= most):
            popped.append(item := self.pop())
            if not item.future.done():
                rows += item.rows
        return popped, rows


def rows_of(inputs: Arrays) -> int:
    """The common first dimension; InvalidArgument when there is none."""
    rows = -1
    for name, array in inputs.items():
        if array.ndim == 0:
            raise InvalidArgument(f"tensor '{name}': a batched model takes shape [rows, ...], got []")
        if rows not in (-1, array.shape[0]):
            raise InvalidArgument(
                f"tensor '{name}': the first dimension must be {rows}, as in the other inputs, "
                f"got {array.shape[0]}"
            )
        rows = array.shape[0]
    return max(rows, 0)


def key_of(inputs: Arrays, parameters: Parameters) -> Hashable:
    """Equal for requests that fit together."""
    shapes = tuple(sorted((name, array.dtype.str, array.shape[1:]) for name, array in inputs.items()))
    if not parameters:
        return shapes
    return shapes, tuple(sorted((name, type(value), value) for name, value in parameters.items()))


def hand_out(items: list[Item], outputs: Arrays) -> None:
    """To each its own rows; ModelFailed when there are others than were asked for."""
    check_rows(outputs, sum(item.rows for item in items))
    start = 0
    for item in items:
        if not item.future.done():
            rows = slice(start, start + item.rows)
            item.future.set_result({name: array[rows] for name, array in outputs.items()})
        start += item.rows


def check_rows(outputs: Arrays, rows: int) -> None:
    """ModelFailed when an output hasn't a row for each."""
    for name, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != rows:
            raise ModelFailed(
                f"output '{name}' has shape {list(array.shape)} for a batch of {rows} rows: "
                "a batched model answers row by row"
            )


def fail(items: list[Item], error: Exception) -> None:
    """For all that still wait."""
    for item in items:
        if not item.future.done():
            item.future.set_exception(error)
