"""Checksums as S3, git and others write them; expected values are others' programs'."""

import hashlib

import pytest

from serve_app.repository.checksums import Hashes, of_base64

DATA = bytes(range(256)) * 100_000  # 25.6 MB


def wrong(told, data, pieces=1):
    hashes = Hashes(told, len(data))
    step = max(1, len(data) // pieces)
    for at in range(0, len(data), step):
        hashes.update(data[at : at + step])
    return hashes.wrong


# Of the text `hello\n`: md5sum, sha256sum, git hash-object, crc32.
HELLO = [
    "md5:b1946ac92492d2347c6235b4d2611184",
    "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    "git:ce013625030ba8dba906f756967f9e9ca394464a",
    "crc32:363a3020",
]


@pytest.mark.parametrize("told", HELLO)
def test_kinds(told):
    assert wrong(told, b"hello\n") == wrong(told, b"hello\n", 6) == ""
    kind, _, value = told.partition(":")
    assert wrong(told, b"hellp\n").endswith(f"its store says {value}")
    assert Hashes(told, 6).kind == kind


def multipart(data, part):
    """As the documentation of S3's ETags has it."""
    sums = [hashlib.md5(data[at : at + part]).digest() for at in range(0, len(data), part)]
    return f"{hashlib.md5(b''.join(sums)).hexdigest()}-{len(sums)}"


@pytest.mark.parametrize("size", [len(DATA), 2 * 2**23, 2**23 + 1])
def test_of_an_upload_in_parts(size):
    data, part = DATA[:size], 2**23
    told = f"md5-{part}:{multipart(data, part)}"
    assert wrong(told, data) == wrong(told, data, 77) == ""
    assert wrong(told, data[:-1] + b"!")


def test_none_is_told():
    assert wrong("", b"hello\n") == ""
    assert of_base64("md5", None) == ""
    assert of_base64("md5", "sZRqySSS0jR8YjW00mERhA==") == HELLO[0]
    assert of_base64("md5", bytearray.fromhex(HELLO[0][4:])) == HELLO[0]
