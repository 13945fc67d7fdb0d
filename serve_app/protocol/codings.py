"""Content codings: what HTTP calls compressed bodies, both ways."""

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor

from serve_app.errors import InvalidArgument, TooLarge, UnsupportedCoding

CODINGS = (b"gzip", b"deflate")
_ALIASES = {b"x-gzip": b"gzip"}  # as RFC 9110 has it
_MOST = 4  # codings of one body, one around the other
_MOST_MEMBERS = 2**16  # of one gzip body
_PIECE = 2**14
_OFF_LOOP = 2**16  # from this size on, (de)compression leaves the event loop
# A body that unpacks to more than _FREE may grow by no more than this: 60 KB could be 64 MB.
_MOST_GROWTH = 200
_FREE = 2**23  # zeros, a black image say, pack a thousandfold
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="codings")


def codings_of(header: bytes) -> list[bytes]:
    """What a Content-Encoding says was done to a body, in that order; `identity` is nothing."""
    found: list[bytes] = []
    for name in header.lower().split(b","):
        coding = name.strip()
        coding = _ALIASES.get(coding, coding)
        if coding in (b"identity", b""):
            continue
        if coding not in CODINGS or len(found) == _MOST:
            raise UnsupportedCoding(
                f"Content-Encoding must be gzip or deflate, got '{header.decode('latin-1')[:80]}'"
            )
        found.append(coding)
    return found


async def unpacked(body: bytes, header: bytes, limit: int) -> bytes:
    """A body without its Content-Encoding, off the event loop when it turns out to be large.

    TooLarge beyond `limit` bytes, or when it grows too much.
    """
    if (small := inflate_small(body, header, limit)) is not None:
        return small
    return await asyncio.get_running_loop().run_in_executor(_THREADS, inflate_now, body, header, limit)


def inflate_small(body: bytes, header: bytes, limit: int) -> bytes | None:
    """The same at once; None for what is large, packed or unpacked."""
    if len(body) >= _OFF_LOOP:
        return None
    try:
        return inflate_now(body, header, min(limit, _OFF_LOOP))
    except TooLarge:
        if limit <= _OFF_LOOP:
            raise
        return None


def inflate_now(body: bytes, header: bytes, limit: int) -> bytes:
    """The same, however long it takes."""
    most = min(limit, max(_FREE, _MOST_GROWTH * len(body)))
    for coding in reversed(codings_of(header)):
        body = _inflate(body, coding, most, limit)
    return body


def _inflate(body: bytes, coding: bytes, most: int, limit: int) -> bytes:
    # 47 reads gzip and zlib; deflate is zlib by the standard and raw by habit.
    for bits in (47,) if coding == b"gzip" else (47, -15):
        try:
            return _members(memoryview(body), coding, bits, most, limit)
        except zlib.error:
            continue
    raise InvalidArgument(f"the body is not valid {coding.decode()}")


def _members(body: memoryview, coding: bytes, bits: int, most: int, limit: int) -> bytes:
    """A gzip body may be several, one after the other (RFC 1952); they are read piece by piece, so
    that what comes behind one isn't copied with each."""
    out, size, at, name = [], 0, 0, coding.decode()
    for _ in range(_MOST_MEMBERS):
        stream = zlib.decompressobj(bits)
        while not stream.eof:
            if at >= len(body):
                raise InvalidArgument(f"the {name} body is cut short")
            piece = body[at : at + _PIECE]
            out.append(stream.decompress(piece, most + 1 - size))
            at += len(piece) - len(stream.unused_data)
            size += len(out[-1])
            if size > most:
                if most < limit:
                    raise TooLarge(
                        f"the {name} body unpacks to more than {_MOST_GROWTH} times its size, and to "
                        f"more than {_FREE} bytes: send it as it is"
                    )
                raise TooLarge(
                    f"the {name} body unpacks to more than the limit (maxBodyBytes) of {limit}"
                )
        if at == len(body):
            return b"".join(out)
        if coding != b"gzip" or bytes(body[at : at + 2]) != b"\x1f\x8b":
            break
    raise InvalidArgument(f"the {name} body goes on after its end")


async def packed(data: bytes, coding: bytes) -> bytes:
    """An answer's body in one of CODINGS, off the event loop when it is large."""
    if len(data) < _OFF_LOOP:
        return _deflate(data, coding)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _deflate, data, coding)


def _deflate(data: bytes, coding: bytes) -> bytes:
    stream = zlib.compressobj(1, wbits=31 if coding == b"gzip" else 15)
    return stream.compress(data) + stream.flush()


def chosen(accept: bytes) -> bytes | None:
    """The coding of an answer that an Accept-Encoding asks for, gzip among equals."""
    weights: dict[bytes, float] = {}
    for part in accept.lower().split(b","):
        coding, _, rest = part.strip().partition(b";")
        coding = _ALIASES.get(coding.strip(), coding.strip())
        weight = rest.strip().removeprefix(b"q=")
        try:
            weights[coding] = float(weight) if weight else 1.0
        except ValueError:
            continue
    wanted = [coding for coding in CODINGS if weights.get(coding, 0) > 0]
    return max(wanted, key=weights.__getitem__, default=None)
