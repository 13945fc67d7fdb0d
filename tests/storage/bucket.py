"""S3 beside the tests: moto's server."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def s3() -> Iterator[str]:
    """Its address, on a port of its own, in this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line per request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class S3Bucket:
    """A bucket of its own on that server; `env` leads a process to it."""

    def __init__(self, url: str, name: str) -> None:
        import boto3

        self.name = name
        self.env = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="key",
            aws_secret_access_key="hunter2",
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket=name)

    def put(self, key: str, data: bytes, **more: Any) -> None:
        """One object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data, **more)

    def put_folder(self, folder: Path, prefix: str) -> str:
        """The files of a folder; their address."""
        for file in folder.rglob("*"):
            if file.is_file():
                self.put(f"{prefix}/{file.relative_to(folder)}", file.read_bytes())
        return self.uri(prefix)

    def uri(self, prefix: str) -> str:
        """Of what lies below."""
        return f"s3://{self.name}/{prefix}"
