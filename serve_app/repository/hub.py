"""The Hugging Face hub, or what speaks like it at HF_ENDPOINT, by huggingface_hub."""

import os
import posixpath
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from serve_app.repository.addresses import Address
from serve_app.repository.manifests import UNKNOWN, Manifest, RemoteFile, manifest
from serve_app.repository.reasons import Restart

TIMEOUT_S = 30
PIECE = 2**20

# Where weights are there as safetensors: the same for others, or as pickles, which nobody loads.
_OTHERS = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".ot", ".tflite", ".mlmodel", ".pkl")
_NOT_THE_MODEL = (".gitattributes", ".gitignore", "README.md", "LICENSE")


class Hub:
    """One repository at one commit, that of its revision when it was asked for first."""

    def __init__(self, at: Address) -> None:
        self.at = at
        owner, name, *folder = at.at.split("/")
        self._repository, self._folder = f"{owner}/{name}", "/".join(folder)

    @cached_property
    def _info(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(_endpoint()).model_info(
            self._repository, revision=self.at.revision, files_metadata=True, timeout=TIMEOUT_S
        )

    def top(self) -> tuple[list[str], bool]:
        """See Store."""
        inside = [one.partition("/") for one in self._paths()]
        return sorted({first for first, slash, _ in inside if slash}), any(not s for _, s, _ in inside)

    def manifest(self, folder: str) -> Manifest:
        """See Store. By content alone: a commit that changes none of these files changes nothing."""
        root = f"{folder}/" if folder else ""
        paths = self._paths()
        files = [
            _file(path.removeprefix(root), one) for path, one in paths.items() if path.startswith(root)
        ]
        if any(one.path.endswith(".safetensors") for one in files):
            files = [one for one in files if not one.path.endswith(_OTHERS)]
        return manifest(self.at.where, folder, files)

    def told(self, file: RemoteFile, folder: str) -> str:
        """The listing tells all."""
        return ""

    def read(self, file: RemoteFile, folder: str, start: int) -> Iterator[bytes]:
        """See Store; a commit's files never change."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        path = posixpath.join(self._folder, folder, file.path)
        url = hf_hub_url(self._repository, path, revision=self._info.sha, endpoint=_endpoint())
        headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={start}-"}
        # Where it leads on to a store of large files, the token isn't sent along.
        with get_session().stream(
            "GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT_S
        ) as answer:
            hf_raise_for_status(answer)
            if start and answer.status_code != 206:
                raise Restart
            yield from answer.iter_bytes(PIECE)

    def _paths(self) -> dict[str, Any]:
        """What belongs to the model, by path below the address."""
        root = f"{self._folder}/" if self._folder else ""
        found = {one.rfilename: one for one in self._info.siblings or ()}
        paths = {
            path.removeprefix(root): one
            for path, one in found.items()
            if path.startswith(root) and posixpath.basename(path) not in _NOT_THE_MODEL
        }
        if not paths:
            raise FileNotFoundError(f"{self.at.where} has no files")
        return paths


def _endpoint() -> str | None:
    """Asked for now: the library reads it when it is imported."""
    return os.environ.get("HF_ENDPOINT") or None


def _file(path: str, one: Any) -> RemoteFile:
    size = UNKNOWN if one.size is None else int(one.size)
    if one.lfs:
        return RemoteFile(path, size, one.lfs.sha256, f"sha256:{one.lfs.sha256}")
    return RemoteFile(path, size, str(one.blob_id), f"git:{one.blob_id}" if one.blob_id else "")
