"""A bucket beside the tests: moto's server, which speaks S3."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUCKET = "models"


class Bucket:
    """An empty bucket; `env` leads a process to it."""

    def __init__(self, url: str) -> None:
        import boto3

        self.env = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "a",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self._s3: Any = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="a",
            aws_secret_access_key="a",
            region_name="us-east-1",
        )
        self._s3.create_bucket(Bucket=BUCKET)

    def put(self, folder: Path, prefix: str) -> str:
        """The files of `folder`; their address."""
        for file in folder.rglob("*"):
            if file.is_file():
                self._s3.upload_file(str(file), BUCKET, f"{prefix}/{file.relative_to(folder)}")
        return f"s3://{BUCKET}/{prefix}"


@contextlib.contextmanager
def bucket() -> Iterator[Bucket]:
    """One on a port of its own, in this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line per request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Bucket(f"http://{host}:{port}")
    finally:
        server.stop()
