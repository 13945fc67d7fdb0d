"""Azure Blob Storage on loopback: Azurite, Microsoft's emulator, where there is one."""

import base64
import os
import shlex
import shutil
import socket
from pathlib import Path

from serve_app.ports import free_port
from serve_app.processes import Program

ACCOUNT = "account"
_KEY = base64.b64encode(b"a key of the tests").decode()


def command() -> list[str]:
    """`azurite-blob`, or what AZURITE names; nothing where there is none."""
    found = os.environ.get("AZURITE") or shutil.which("azurite-blob") or ""
    return shlex.split(found)


class Azurite(Program):
    """`start` it, with its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        options = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", str(folder)]
        options += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        env = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{_KEY}"}
        super().__init__([*command(), *options], folder / "log", cwd=folder, env=env)

    def start(self) -> None:
        """Returns when it answers."""
        super().start()
        self.wait(self._listens, 60, "Azurite", pause=0.05)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def env_of(port: int) -> dict[str, str]:
    """What leads a process to it, or to a proxy before it."""
    parts = {
        "DefaultEndpointsProtocol": "http", "AccountName": ACCOUNT, "AccountKey": _KEY,
        "BlobEndpoint": f"http://127.0.0.1:{port}/{ACCOUNT}",
    }  # fmt: skip
    said = ";".join(f"{name}={value}" for name, value in parts.items())
    return {"AZURE_STORAGE_CONNECTION_STRING": said}
