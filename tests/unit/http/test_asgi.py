import gzip
import zlib

import pytest

from serve_app.config import Limits
from serve_app.errors import InvalidArgument, TooLarge, UnsupportedCoding
from serve_app.http.asgi import JSON, Disconnected, read_body, respond_packed

TEXT = b'{"inputs": []}' * 100


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


PACKED = {
    "gzip": (b"gzip", gzip.compress),
    "deflate (zlib)": (b"deflate", zlib.compress),
    "deflate (raw)": (b"deflate", raw_deflate),
}


def receiver(*chunks: bytes, disconnect: bool = False):
    """An ASGI `receive` of these chunks; asking for more than there is fails the test."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if disconnect:
        messages.append({"type": "http.disconnect"})
    else:
        messages[-1]["more_body"] = False
    left = iter(messages)

    async def receive():
        return next(left)

    return receive


async def read(*chunks: bytes, limit: int = 10_000, disconnect: bool = False, **headers: bytes) -> bytes:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return await read_body(receiver(*chunks, disconnect=disconnect), named, Limits(maxBodyBytes=limit))


async def test_one_chunk_or_many():
    assert await read(b"") == b""
    assert await read(b"abc") == b"abc"
    assert await read(b"a", b"", b"bc", b"") == b"abc"


@pytest.mark.parametrize("coding", [b"identity", b"", b" Identity "])
async def test_no_coding(coding):
    assert await read(b"abc", content_encoding=coding) == b"abc"


async def test_limits_are_inclusive():
    assert await read(b"x" * 10, limit=10) == b"x" * 10
    with pytest.raises(TooLarge, match=r"11 bytes, the limit \(maxBodyBytes\) is 10"):
        await read(b"x" * 11, limit=10)


async def test_a_stated_length_over_the_limit_is_refused_unread():
    async def receive():
        raise AssertionError("nothing is to be read")

    with pytest.raises(TooLarge, match="has 11 bytes"):
        await read_body(receive, {b"content-length": b"11"}, Limits(maxBodyBytes=10))


async def test_chunks_over_the_limit_are_refused_before_the_rest_is_read():
    def endless():
        while True:
            yield {"type": "http.request", "body": b"x" * 4, "more_body": True}

    read_so_far = 0

    async def receive():
        nonlocal read_so_far
        read_so_far += 4
        return next(messages)

    messages = endless()
    with pytest.raises(TooLarge, match="limit"):
        await read_body(receive, {b"content-length": b"lies"}, Limits(maxBodyBytes=10))
    assert read_so_far == 12


async def test_a_client_that_goes_away():
    with pytest.raises(Disconnected):
        await read(disconnect=True)
    with pytest.raises(Disconnected):
        await read(b"half", disconnect=True)


@pytest.mark.parametrize("form", PACKED)
@pytest.mark.parametrize("size", [0, 1, len(TEXT), 300_000])
async def test_packed_bodies(form, size):
    coding, pack = PACKED[form]
    data = (TEXT * (size // len(TEXT) + 1))[:size]
    packed = pack(data)
    assert await read(packed, limit=300_000, content_encoding=coding) == data
    assert await read(packed[:5], packed[5:], limit=300_000, content_encoding=coding.upper()) == data


@pytest.mark.parametrize("form", PACKED)
async def test_packed_bodies_over_the_limit(form):
    coding, pack = PACKED[form]
    assert await read(pack(bytes(1000)), limit=1000, content_encoding=coding) == bytes(1000)
    for size in (1001, 50_000_000):  # the latter is a bomb of under 50 KB
        with pytest.raises(TooLarge, match="unpacks to more than the limit"):
            await read(
                pack(bytes(size)), limit=1000 if size == 1001 else 100_000, content_encoding=coding
            )


@pytest.mark.parametrize("form", PACKED)
async def test_damaged_packed_bodies(form):
    coding, pack = PACKED[form]
    packed = pack(TEXT)
    for cut in (0, 1, 2, 5, len(packed) // 2, len(packed) - 1):
        with pytest.raises(InvalidArgument, match=r"cut short|not valid"):
            await read(packed[:cut], content_encoding=coding)
    with pytest.raises(InvalidArgument):
        await read(b"plain text", content_encoding=coding)
    with pytest.raises(InvalidArgument, match="goes on after its end"):
        await read(packed + b"!", content_encoding=coding)


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"compress", b"gzip, br", b"\xff", b"gzip," * 5])
async def test_unknown_codings_are_refused(coding):
    with pytest.raises(UnsupportedCoding, match="Content-Encoding must be gzip or deflate, got"):
        await read(b"abc", content_encoding=coding)


@pytest.mark.parametrize(
    ("coding", "packs"),
    [
        (b"x-gzip", [gzip.compress]), (b"X-Gzip", [gzip.compress]), (b"gzip, identity", [gzip.compress]),
        (b"identity, gzip", [gzip.compress]), (b"gzip,", [gzip.compress]),
        (b"deflate, gzip", [zlib.compress, gzip.compress]), (b"gzip,gzip", [gzip.compress] * 2),
        (b"gzip , deflate", [gzip.compress, raw_deflate]), (b"identity, identity", []),
    ],
)  # fmt: skip
async def test_names_of_codings_and_lists_of_them(coding, packs):
    packed = TEXT
    for pack in packs:
        packed = pack(packed)
    assert await read(packed, content_encoding=coding) == TEXT


async def test_several_gzip_members_are_one_body():
    members = [TEXT, b"", b"x" * 100_000, b"!"]
    packed = b"".join(map(gzip.compress, members))
    assert await read(packed, limit=300_000, content_encoding=b"gzip") == b"".join(members)
    many = gzip.compress(b"a") * 5000
    assert await read(many, limit=200_000, content_encoding=b"gzip") == b"a" * 5000


async def test_several_gzip_members_and_what_is_wrong_with_them():
    packed = gzip.compress(TEXT)
    with pytest.raises(InvalidArgument, match="cut short"):
        await read(packed + packed[:-3], content_encoding=b"gzip")
    with pytest.raises(InvalidArgument, match="goes on after its end"):
        await read(packed + zlib.compress(TEXT), content_encoding=b"gzip")
    with pytest.raises(InvalidArgument, match="goes on after its end"):
        await read(zlib.compress(TEXT) * 2, content_encoding=b"deflate")
    with pytest.raises(TooLarge, match="unpacks to more than the limit"):
        await read(packed * 10, limit=len(TEXT) * 9, content_encoding=b"gzip")
    bomb = gzip.compress(bytes(10**6))
    with pytest.raises(TooLarge, match="unpacks"):
        await read(gzip.compress(bomb * 20), limit=100_000, content_encoding=b"gzip, gzip")


async def answer(accept: bytes | None, body: list[bytes], least: int = 10) -> tuple[dict, bytes]:
    sent = []

    async def send(message):
        sent.append(message)

    await respond_packed(send, body, [JSON], accept, least)
    start, rest = sent
    headers = dict(start["headers"])
    assert start["status"] == 200
    assert int(headers[b"content-length"]) == len(rest["body"])
    return headers, rest["body"]


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None), (b"", None), (b"identity", None), (b"br", None), (b"*", None),
        (b"gzip", b"gzip"), (b"GZIP", b"gzip"), (b"deflate", b"deflate"), (b"deflate, gzip", b"gzip"),
        (b"br, gzip;q=0.5", b"gzip"), (b"gzip;q=0", None), (b"gzip;q=0.0, deflate", b"deflate"),
        (b"gzip; q=0.001", b"gzip"), (b"gzip;q=0.1, deflate;q=0.9", b"deflate"),
        (b"gzip;q=1,deflate;q=1", b"gzip"), (b"x-gzip", b"gzip"),
        (b"gzip;q=many, deflate", b"deflate"), (b"gzip;q=nan", None), (b",;,", None),
        (b"gzip;q=-1", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1000, 200_000])
async def test_answers_are_packed_as_asked(accept, coding, size):
    body = [b"a" * (size // 2), b"b" * (size // 2)]
    headers, data = await answer(accept, body)
    assert headers.get(b"content-encoding") == coding
    assert headers[b"content-type"] == b"application/json"
    if coding:
        assert headers[b"vary"] == b"accept-encoding"
        assert len(data) < size / 10
        data = gzip.decompress(data) if coding == b"gzip" else zlib.decompress(data)
    assert data == b"".join(body)


async def test_small_answers_stay_as_they_are():
    headers, data = await answer(b"gzip", [b"123456789"], least=10)
    assert (data, b"content-encoding" in headers) == (b"123456789", False)
    headers, _ = await answer(b"gzip", [b"12345", b"67890"], least=10)
    assert headers[b"content-encoding"] == b"gzip"
