"""How a node's `ray start` is run: as a process of this environment, or in a container of its image."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol


class Launch(Protocol):
    """What a node needs."""

    def command(self, name: str, image: str, env: Mapping[str, str], start: Sequence[str]) -> list[str]:
        """The command that runs `ray start` with `start`, in the foreground."""

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Of that command."""

    def kill(self, name: str) -> None:
        """End what isn't below the command in the process tree."""


class Processes:
    """On this machine, with the packages of this environment, in this folder."""

    def command(self, name: str, image: str, env: Mapping[str, str], start: Sequence[str]) -> list[str]:
        """Ray's own program."""
        return [sys.executable, "-m", "ray.scripts.scripts", "start", *start]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """As in a pod, nothing of Ray's comes from outside."""
        outside = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        return outside | dict(env)

    def kill(self, name: str) -> None:
        """Nothing is elsewhere."""


class Containers:
    """By `run`, as in `podman run --ulimit nofile=20000:20000`, in this machine's network."""

    def __init__(self, run: Sequence[str]) -> None:
        self._run = list(run)
        self._engine = self._run[: self._run.index("run")]

    def command(self, name: str, image: str, env: Mapping[str, str], start: Sequence[str]) -> list[str]:
        """Names of variables alone: their values, a token among them, aren't for every eye."""
        options = ["--rm", f"--name={name}", "--network=host", "--shm-size=1g"]
        # As restricted as rayservice.yaml's pods.
        options += ["--user=1000:1000", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
        options += [f"--env={key}" for key in env]
        return [*self._run, *options, image, "ray", "start", *start]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """From which the engine takes them."""
        return dict(os.environ) | dict(env)

    def kill(self, name: str) -> None:
        """The container, which the engine may have put anywhere."""
        subprocess.run([*self._engine, "rm", "--force", name], capture_output=True, check=False)  # noqa: S603
