"""gRPC calls and refusals as they are over HTTP/1.1."""

import grpc
from grpc import StatusCode

from serve_app.ingress.grpc_http1 import PATH

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n"
    b"grpc-accept-encoding: identity,deflate,gzip\r\n"
)


def frame(message: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


def post(body: bytes, *headers: str) -> bytes:
    lines = [f"POST {PATH} HTTP/1.1", "Host: t", "Content-Type: application/grpc",
             "TE: trailers", f"Content-Length: {len(body)}", *headers, "", ""]  # fmt: skip
    return "\r\n".join(lines).encode() + body


def refused(code: StatusCode, message: str, more: bytes = b"") -> bytes:
    status = b"grpc-status: %d\r\ngrpc-message: %b\r\n" % (code.value[0], message.encode())
    return HEAD + status + b"content-length: 0\r\n" + more + b"\r\n"


HINTS = b"retry-after: 1\r\ngrpc-retry-pushback-ms: 1000\r\n"


class Context:
    """What a servicer may tell gRPC."""

    code, details = grpc.StatusCode.OK, ""
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    trailing: tuple[tuple[str, str], ...] = ()

    def invocation_metadata(self):
        return self.metadata

    def set_code(self, code):
        self.code = code

    def set_details(self, details):
        self.details = details

    def set_trailing_metadata(self, metadata):
        self.trailing = metadata
