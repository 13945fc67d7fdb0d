"""A version answers a copy, not through the bracket: no place is taken, no request counted or logged."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from serve_app.core import outputs as sent
from serve_app.core.shadow.jobs import Job, size_of
from serve_app.core.signature import check_outputs, wanted
from serve_app.core.version import Version
from serve_app.errors import (
    DeadlineExceeded,
    ModelFailed,
    NotFound,
    TandemError,
    Unavailable,
    Unsupported,
    kind_of,
)
from serve_app.protocol.openai import failure

log = logging.getLogger("tandem")

# Why a request isn't copied, or its copy isn't compared.
QUEUE, BYTES, BUSY, AWAY = "queue", "bytes", "busy", "unavailable"
REPLACED, BROKEN = "replaced", "broken"
REASONS = (QUEUE, BYTES, BUSY, AWAY, REPLACED, BROKEN)
_WHOLE_S = 600.0  # for all of a text
_SHADOW = "a shadow's"  # who sends it, where a batch is spoiled

Hold = Callable[[Job, int], bool]


class Dropped(Exception):
    """It can't be compared; the reason."""


async def answered(version: Version, copy: Job, seconds: float, hold: Hold) -> None:
    """Fill in what comes of a copy, an error of the version's own too. Dropped where nothing does."""
    version.enter()
    try:
        if copy.verb == "relay":
            await _relayed(version, copy, seconds, hold)
        elif copy.verb == "stream" and version.target.streams is not None:
            await _streamed(version, copy, seconds, hold)
        else:
            await _inferred(version, copy, seconds)
    except TimeoutError:
        copy.error = DeadlineExceeded.__name__
    except (Unavailable, NotFound):  # it says nothing of its answers
        raise Dropped(AWAY) from None
    except TandemError as error:
        copy.error = kind_of(error).__name__
        if isinstance(error, ModelFailed) and not error.logged:
            log.warning("shadow '%s' version %s: %s", version.model, version.number, error.whole)
    finally:
        version.leave()


async def _inferred(version: Version, copy: Job, seconds: float) -> None:
    request = copy.request
    async with asyncio.timeout(seconds):
        check_outputs(request, version.model, version.signature)
        outputs = await version.predict(request, lambda: _SHADOW)
    copy.verb = "infer"
    copy.answer = {tensor.name: tensor.data for tensor in sent.answered(request, outputs, version)}


async def _streamed(version: Version, copy: Job, seconds: float, hold: Hold) -> None:
    request = copy.request
    check_outputs(request, version.model, version.signature)
    async with asyncio.timeout(_WHOLE_S), aclosing(version.stream(request)) as pieces:
        async with asyncio.timeout(seconds):
            piece = await anext(pieces, None)
        while piece is not None:
            arrays = {name: piece[0][name] for name in wanted(request, piece[0])}
            if not hold(copy, sum(map(size_of, arrays.values()))):
                raise Dropped(BYTES)
            copy.pieces.append(arrays)
            piece = await anext(pieces, None)


async def _relayed(version: Version, copy: Job, seconds: float, hold: Hold) -> None:
    if version.target.relays is None:
        raise Unsupported(f"model '{version.model}' speaks V2 alone")
    relayed = version.target.relays.relay(copy.path, copy.sent, copy.asked, seconds)
    async with asyncio.timeout(_WHOLE_S), relayed as answer:
        async for piece in answer.pieces():
            if not hold(copy, len(piece)):
                raise Dropped(BYTES)
            copy.body.append(piece)
    copy.kind = answer.kind
    if answer.status != 200:
        raise failure(answer.status, b"".join(copy.body))
