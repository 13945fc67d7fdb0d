"""Stores by fsspec: Google's, Azure's, and what S3's shares with them."""

import os
from collections.abc import Iterator
from typing import Any

from serve_app.file_systems import said
from serve_app.repository.addresses import Address
from serve_app.repository.checksums import of_base64
from serve_app.repository.manifests import Manifest, RemoteFile, manifest
from serve_app.repository.stores import BLOCK, changed

# No answers of before: what lies there now is asked for.
FRESH = {"skip_instance_cache": True, "use_listings_cache": False}
# Under these names a workload on Azure's Kubernetes finds its identity.
_AZURE_IDENTITY = ("AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT", "MSI_ENDPOINT")


class Bucket:
    """`fs`: fsspec's, which does the transfer and finds the credentials."""

    host = ""  # see Manifest

    def __init__(self, at: Address, fs: Any) -> None:
        self.at, self.fs = at, fs
        self._is_file = False  # the address is a file's

    def top(self) -> tuple[list[str], bool]:
        """See Store."""
        listed = self.ask("ls", self.at.at, detail=True)
        folders = [_name(one) for one in listed if one["type"] == "directory"]
        return folders, any(one["type"] == "file" and int(one["size"]) for one in listed)

    def manifest(self, folder: str) -> Manifest:
        """See Store. An address that leads to a file is a folder with that file in it."""
        root = self._path("", folder)
        found = self.ask("find", root, detail=True)
        if isinstance(found, list):  # adlfs, of a file: its name alone
            found = {one: self.ask("info", one) for one in found}
        if not found:
            raise FileNotFoundError(root)
        # A folder that somebody "made" is an empty object by the name of one.
        infos = {path: info for path, info in found.items() if not info["name"].endswith("/")}
        if list(infos) == [root]:
            self._is_file = not folder
            only = [self._file(root.rpartition("/")[2], infos[root])]
            return manifest(self.at.where, folder, only, self.host)
        files = [self._file(path.removeprefix(f"{root}/"), info) for path, info in infos.items()]
        return manifest(self.at.where, folder, files, self.host)

    def told(self, file: RemoteFile, folder: str) -> str:
        """See Store."""
        return ""

    def read(self, file: RemoteFile, folder: str, start: int) -> Iterator[bytes]:
        """See Store."""
        path = self._path(file.path, folder)
        with self.fs.open(path, "rb", block_size=BLOCK, cache_type="none") as opened:
            if self.tag(opened.details) != file.tag:
                raise changed(file)
            opened.seek(start)
            while piece := opened.read(BLOCK):
                yield piece

    def tag(self, info: dict[str, Any]) -> str:
        """What changes with a file's content."""
        return str(info.get("ETag") or info.get("etag") or info.get("mtime")).strip('"')

    def checksum(self, info: dict[str, Any], tag: str) -> str:
        """As far as the listing tells."""
        return ""

    def ask(self, method: str, *args: Any, **more: Any) -> Any:
        """What a method of fsspec's says; see `said`."""
        return said(self.fs, method, *args, **more)

    def _file(self, path: str, info: dict[str, Any]) -> RemoteFile:
        tag = self.tag(info)
        return RemoteFile(path, int(info["size"]), tag, self.checksum(info, tag))

    def _path(self, path: str, folder: str) -> str:
        if path and self._is_file:
            return self.at.at
        return "/".join(filter(None, (self.at.at, folder, path)))


def _name(info: dict[str, Any]) -> str:
    return str(info["name"]).rstrip("/").rpartition("/")[2]


class GoogleStorage(Bucket):
    """GOOGLE_APPLICATION_CREDENTIALS, or the machine's identity."""

    def __init__(self, at: Address) -> None:
        # Not gcsfs's own choice, which asks by gRPC what kind a bucket is: emulators don't know.
        from gcsfs.core import GCSFileSystem

        known = {"token": "anon"} if os.environ.get("STORAGE_EMULATOR_HOST") else {}
        super().__init__(at, GCSFileSystem(**known, **FRESH))

    def tag(self, info: dict[str, Any]) -> str:
        """A generation is one content."""
        return str(info.get("generation") or info.get("etag"))

    def checksum(self, info: dict[str, Any], tag: str) -> str:
        """Objects that were composed of others have none of this kind."""
        return of_base64("md5", info.get("md5Hash"))


class AzureStorage(Bucket):
    """AZURE_STORAGE_…, or the machine's identity; else as anybody."""

    def __init__(self, at: Address) -> None:
        import adlfs

        super().__init__(at, adlfs.AzureBlobFileSystem(**azure_arguments(at), **FRESH))

    def checksum(self, info: dict[str, Any], tag: str) -> str:
        """Where who uploaded it let it be noted."""
        return of_base64("md5", (info.get("content_settings") or {}).get("content_md5"))


def azure_arguments(at: Address) -> dict[str, Any]:
    """What adlfs can't read in the environment."""
    said: dict[str, Any] = {}
    if at.account:
        said["account_name"] = at.account
    if at.query:
        said["sas_token"] = at.query
    elif any(os.environ.get(name) for name in _AZURE_IDENTITY):
        said["anon"] = False
    return said
