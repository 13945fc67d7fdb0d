"""Headers that a class sets on an answer (KServe's `response_headers`)."""

import re
from collections.abc import Mapping
from typing import Any

from serve_app.errors import ModelFailed

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# They say how the answer is sent, which isn't the class's to know.
_OURS = {
    "connection", "content-encoding", "content-length", "content-type", "keep-alive", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip


def answer_headers(said: Mapping[Any, Any], who: str) -> list[tuple[bytes, bytes]]:
    """As HTTP carries them, without those that say how an answer is sent. ModelFailed, of `who`, for one
    that HTTP can't carry.
    """
    found = []
    for key, value in said.items():
        name, text = str(key).lower(), str(value)
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(text):
            raise ModelFailed(f"{who} set a response header that HTTP can't carry: {name[:40]!r}")
        if name not in _OURS:
            found.append((name.encode(), text.encode("latin-1")))
    return found
