"""Headers that a class sets on an answer (KServe's `response_headers`)."""

import re
from collections.abc import Mapping
from typing import Any

from serve_app.errors import ModelFailed

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
MOST = 16 * 2**10  # bytes; HAProxy takes no more than its buffer has, and many a client less
# They say how the answer is sent, which isn't the class's to know, or are on every answer already.
_OURS = {
    "connection", "content-encoding", "content-length", "content-type", "date",
    "inference-header-content-length", "keep-alive", "server", "trailer", "transfer-encoding", "upgrade",
    "x-request-id",
}  # fmt: skip


def answer_headers(said: Mapping[Any, Any], who: str) -> list[tuple[bytes, bytes]]:
    """As HTTP carries them, without those of None and those that are the server's to set. ModelFailed,
    of `who`, for one that HTTP can't carry.
    """
    found: dict[bytes, bytes] = {}  # one of each name, however it is written
    for key, value in said.items():
        name, text = str(key).lower(), str(value)
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(text):
            raise ModelFailed(f"{who} set a response header that HTTP can't carry: {name[:40]!r}")
        if value is not None and name not in _OURS:
            found[name.encode()] = text.encode("latin-1")
    if (size := sum(len(name) + len(value) for name, value in found.items())) > MOST:
        raise ModelFailed(f"{who} set response headers of {size} bytes; there may be {MOST}")
    return [*found.items()]
