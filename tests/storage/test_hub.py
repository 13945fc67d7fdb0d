"""hf:// by huggingface_hub, against a small server that answers as the hub does."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from serve_app.errors import ConfigError
from serve_app.repository import downloads
from serve_app.repository.reasons import Absent
from serve_app.repository.storage import hold, state

WEIGHTS = bytes(range(256)) * 100


class Repository:
    """`commits`: files by path, of each; `branches` lead to them."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.asked: list[str] = []
        self.token = ""
        self.wrong = False  # it sends other bytes than it says

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        sha = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[sha], self.branches[branch] = files, sha
        return sha


def about(path: str, data: bytes) -> dict[str, Any]:
    """As the hub says it: large files by SHA-256, others by git's."""
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    large = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    found: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": git}
    return found | ({"lfs": large} if path.endswith(".safetensors") else {})


class Hub(BaseHTTPRequestHandler):
    repository: Repository
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        path, repository = unquote(urlsplit(self.path).path), self.repository
        repository.asked.append(f"{self.command} {path}")
        if repository.token and self.headers.get("Authorization") != f"Bearer {repository.token}":
            return self._send(401, b'{"error": "gated"}', {"X-Error-Code": "GatedRepo"})
        parts = path.strip("/").split("/")
        if parts[:4] == ["api", "models", "owner", "name"]:
            revision = "/".join(parts[5:]) if len(parts) > 5 else "main"
            sha = repository.branches.get(revision, revision)
            if sha not in repository.commits:
                return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            files = [about(*one) for one in repository.commits[sha].items()]
            said = {"id": "owner/name", "modelId": "owner/name", "sha": sha, "siblings": files}
            return self._send(200, json.dumps(said).encode(), {"Content-Type": "application/json"})
        if parts[:3] == ["owner", "name", "resolve"]:
            data = repository.commits[parts[3]]["/".join(parts[4:])]
            if repository.wrong:
                data = b"!" + data[1:]
            return self._range(data, parts[3])
        return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815

    def _range(self, data: bytes, commit: str) -> None:
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        piece = data[int(first) : int(last or len(data)) + 1]
        more = {"Content-Range": f"bytes {first}-{int(first) + len(piece) - 1}/{len(data)}"}
        self._send(
            206 if "Range" in self.headers else 200,
            piece,
            more | {"X-Repo-Commit": commit, "ETag": '"e"'},
        )

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    made = Repository()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Hub,), {"repository": made}))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(downloads, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("serve_app.repository.fetching.PAUSE_S", 0.001)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


FILES = {
    "config.json": b'{"architectures": []}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"a pickle",
    "tf_model.h5": b"others'",
    "README.md": b"of no use here",
    "tokenizer/vocab.txt": b"a b c",
}


def names(folder: Any) -> set[str]:
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}


def test_a_repository_is_version_one(repository: Repository) -> None:
    repository.commit(FILES)
    folder = hold("hf://owner/name", "all").folders["1"]
    assert names(folder) == {"config.json", "model.safetensors", "tokenizer/vocab.txt"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    before = len([one for one in repository.asked if "resolve" in one])
    hold("hf://owner/name", "all")
    assert len([one for one in repository.asked if "resolve" in one]) == before


def test_a_revision_is_a_commit_from_when_it_was_asked_for(repository: Repository) -> None:
    old = repository.commit(FILES, "v1")
    repository.commit(FILES | {"config.json": b"{}"})
    assert (hold("hf://owner/name@v1", "all").folders["1"] / "config.json").stat().st_size > 2
    assert (hold("hf://owner/name", "all").folders["1"] / "config.json").read_bytes() == b"{}"
    assert hold(f"hf://owner/name@{old}", "all").state == hold("hf://owner/name:v1", "all").state
    now = state("hf://owner/name", "all")
    repository.commit(FILES | {"config.json": b"{}", "README.md": b"another"})
    assert state("hf://owner/name", "all") == now
    repository.commit(FILES | {"config.json": b"{ }"})
    assert state("hf://owner/name", "all") != now


def test_a_folder_of_one_and_versions(repository: Repository) -> None:
    repository.commit({"onnx/1/model.onnx": b"one", "onnx/2/model.onnx": b"two", "x.bin": b""})
    found = hold("hf://owner/name/onnx", "latest").folders
    assert {version: (at / "model.onnx").read_bytes() for version, at in found.items()} == {"2": b"two"}


def test_wrong_bytes_never_serve(repository: Repository) -> None:
    repository.commit(FILES)
    repository.wrong = True
    with pytest.raises(ConfigError, match=r"its (git|sha256) is .*, its store says"):
        hold("hf://owner/name", "all")
    repository.wrong = False
    assert (hold("hf://owner/name", "all").folders["1"] / "model.safetensors").read_bytes() == WEIGHTS


def test_why_not(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.commit(FILES)
    with pytest.raises(
        Absent, match="storageUri 'hf://owner/name@v9': there is no such thing: Revision"
    ):
        hold("hf://owner/name@v9", "all")
    with pytest.raises(Absent, match="there is no such thing: Repository"):
        hold("hf://owner/other", "all")
    with pytest.raises(Absent, match="there is no such thing"):
        hold("hf://owner/name/none", "all")
    repository.token = "hf_secret"
    with pytest.raises(ConfigError, match="no permission: Gated"):
        hold("hf://owner/name", "all")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert names(hold("hf://owner/name", "all").folders["1"])
