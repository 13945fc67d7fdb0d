"""S3, and what speaks like it at AWS_ENDPOINT_URL, by s3fs."""

import os
import re

from serve_app.repository.addresses import Address
from serve_app.repository.buckets import FRESH, Bucket
from serve_app.repository.manifests import RemoteFile

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_MD5 = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")
# ETags are MD5s but for these: of directory buckets, and of objects with keys of one's own.
_DIRECTORY_BUCKET = "--x-s3"
_OWN_KEYS = ("aws:kms", "aws:kms:dsse")


class S3(Bucket):
    """Credentials as AWS's own tools find them."""

    def __init__(self, at: Address) -> None:
        import s3fs

        super().__init__(at, s3fs.S3FileSystem(**FRESH))
        self.host = next((found for name in _ENDPOINTS if (found := os.environ.get(name))), "")

    def told(self, file: RemoteFile, folder: str) -> str:
        """Its ETag, where that is the MD5 of the object or of its parts."""
        bucket, _, key = self._path(file.path, folder).partition("/")
        if not _MD5.fullmatch(file.tag) or bucket.endswith(_DIRECTORY_BUCKET):
            return ""
        head = self.ask("call_s3", "head_object", Bucket=bucket, Key=key)
        if head.get("ServerSideEncryption") in _OWN_KEYS or head.get("SSECustomerAlgorithm"):
            return ""
        if "-" not in file.tag:
            return f"md5:{file.tag}"
        part = self.ask("call_s3", "head_object", Bucket=bucket, Key=key, PartNumber=1)
        count = int(file.tag.partition("-")[2])
        size = int(part["ContentLength"])
        # All parts but the last are of one size, or nothing can be said.
        if part.get("PartsCount") != count or not (count - 1) * size < file.size <= count * size:
            return ""
        return f"md5-{size}:{file.tag}"
