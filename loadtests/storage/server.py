"""A process with a store (moto's S3, or Azurite beside it) and the proxy before it."""

import contextlib
import logging
import multiprocessing
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from loadtests.storage import azurite
from loadtests.storage.azurite import Azurite
from loadtests.storage.proxy import Proxy

BUCKET = "models"
SCHEMES = {"s3": "s3", "azure": "az"}
Put = Callable[[str, bytes], object]


class Store:
    """That process, asked over a pipe. `env` leads others to the proxy, `straight` to the server."""

    def __init__(self, kind: str = "s3") -> None:
        self.kind, self._ends = kind, contextlib.ExitStack()
        port = self._azurite() if kind == "azure" else 0
        self._pipe, other = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")  # this process has to stay without threads
        self._process = spawn.Process(target=_serve, args=(other, port), daemon=True)
        self._process.start()
        server, proxy = self._pipe.recv()
        env_of = azurite.env_of if kind == "azure" else _env
        self.env, self.straight = env_of(proxy), env_of(server)

    def _azurite(self) -> int:
        folder = self._ends.enter_context(tempfile.TemporaryDirectory(prefix="tandem-azurite-"))
        program = Azurite(Path(folder))
        self._ends.callback(program.stop)
        program.start()
        return program.port

    def uri(self, prefix: str) -> str:
        """Of what lies below."""
        return f"{SCHEMES[self.kind]}://{BUCKET}/{prefix}"

    def put(self, key: str, data: bytes) -> None:
        """One object."""
        self._ask("put", key, data)

    def spoil(self, cuts: list[int], flips: list[int]) -> None:
        """The answers from now on."""
        self._ask("spoil", cuts, flips)

    @property
    def sent(self) -> int:
        """Bytes of answers since then."""
        return int(self._ask("sent"))

    def _ask(self, *what: Any) -> Any:
        self._pipe.send(what)
        return self._pipe.recv()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join()
        self._ends.close()


def _env(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _s3() -> tuple[int, Put]:
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=BUCKET)
    return port, lambda key, data: client.put_object(Bucket=BUCKET, Key=key, Body=data)


def _azure(port: int) -> Put:
    from azure.storage.blob import ContainerClient

    (said,) = azurite.env_of(port).values()
    container = ContainerClient.from_connection_string(said, BUCKET)
    container.create_container()
    return lambda key, data: container.upload_blob(key, data, overwrite=True)


def _serve(pipe: Connection, azure: int) -> None:
    port, put = (azure, _azure(azure)) if azure else _s3()
    proxy = Proxy("127.0.0.1", port)
    pipe.send((port, proxy.port))
    while True:
        what, *more = pipe.recv()
        answer = 0
        if what == "put":
            put(*more)
        elif what == "spoil":
            proxy.set(*more)
        else:
            answer = proxy.faults.sent
        pipe.send(answer)
