"""A process with S3 (moto's server) and the proxy before it."""

import logging
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

from loadtests.storage.proxy import Proxy

BUCKET = "models"


class Store:
    """That process, asked over a pipe. `env` leads others to the proxy, `straight` to the server."""

    def __init__(self) -> None:
        self._pipe, other = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")  # this process has to stay without threads
        self._process = spawn.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        server, proxy = self._pipe.recv()
        self.env, self.straight = _env(proxy), _env(server)

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


def _env(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _serve(pipe: Connection) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    proxy = Proxy(host, port)
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=BUCKET)
    pipe.send((port, proxy.port))
    while True:
        what, *more = pipe.recv()
        answer = 0
        if what == "put":
            client.put_object(Bucket=BUCKET, Key=more[0], Body=more[1])
        elif what == "spoil":
            proxy.set(*more)
        else:
            answer = proxy.faults.sent
        pipe.send(answer)
