"""A TCP proxy before a store, which cuts its answers and changes their bytes."""

import contextlib
import random
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Faults:
    """What is still to be done to answers: bytes after which one ends, or after which one is changed."""

    cuts: list[int] = field(default_factory=list)
    flips: list[int] = field(default_factory=list)
    sent: int = 0  # bytes of answers' bodies, about: of all that went to clients
    lock: threading.Lock = field(default_factory=threading.Lock)


class Proxy:
    """Listens on a port of its own of loopback, before `host`:`port`."""

    def __init__(self, host: str, port: int) -> None:
        self.faults = Faults()
        self._to = (host, port)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, cuts: list[int], flips: list[int]) -> None:
        """From now on these, and nothing was sent yet."""
        self.faults = Faults(cuts, flips)

    def _accept(self) -> None:
        while True:
            client, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._to)
        except OSError:
            client.close()
            return
        threading.Thread(target=self._up, args=(client, server), daemon=True).start()
        self._down(server, client)

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(2**16):
                server.sendall(data)
        except OSError:
            pass
        finally:
            _close(server)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        """Only large answers are spoiled: those that carry a model's files."""
        body = 0
        try:
            while data := server.recv(2**16):
                faults = self.faults
                body = 0 if data.startswith(b"HTTP/1.") else body + len(data)
                with faults.lock:
                    faults.sent += len(data)
                    if body and faults.flips and faults.sent > faults.flips[0]:
                        faults.flips.pop(0)
                        at = random.randrange(len(data))
                        data = (
                            data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]
                        )
                    if body and faults.cuts and faults.sent > faults.cuts[0]:
                        faults.cuts.pop(0)
                        client.sendall(data[: len(data) // 2])
                        return
                client.sendall(data)
        except OSError:
            pass
        finally:
            _close(client)
            _close(server)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
