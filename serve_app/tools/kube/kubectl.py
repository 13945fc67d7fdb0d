"""Kubernetes' API server, asked by kubectl."""

import json
import shutil
import subprocess
from typing import Any

from serve_app.errors import ConfigError

_TIMEOUT_S = 30
# By what kubectl says.
_HINTS = {
    ("doesn't have a resource type",):
        "KubeRay isn't installed: helm install kuberay-operator kuberay/kuberay-operator",
    ("NotFound",): "is it in another namespace? kubectl get rayservices -A",
    ("Forbidden",): "the role tandem-deployer of configs/k8s/base may look into {}",
    ("refused", "no configuration", "Unable to connect"):
        "kubectl has no cluster to ask: KUBECONFIG, `kubectl config get-contexts`",
}  # fmt: skip


class NotThere(ConfigError):
    """Nothing of that name."""


class Kubectl:
    """kubectl in one namespace. ConfigError says what is missing when it can't be asked."""

    def __init__(self, namespace: str) -> None:
        if shutil.which("kubectl") is None:
            instead = "for a Ray that is within reach: tandem doctor --address URL"
            raise ConfigError(f"no kubectl here; {instead}")
        self._namespace = namespace

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._json(kind, name)
        return found

    def list(self, kind: str) -> list[Any]:
        """All of a kind."""
        found: list[Any] = self._json(kind)["items"]
        return found

    def last_log(self, pod: str, again: bool = True, lines: int = 40) -> str:
        """The end of what the pod's container said before it ended; '' when unknown.

        `again`: it was started again since.
        """
        done = self._run("logs", pod, *(["--previous"] if again else []), f"--tail={lines}")
        return done.stdout if done.returncode == 0 else ""

    def inside(self, pod: str, container: str, *command: str) -> Any:
        """JSON that a command prints in a container; None where that can't be had."""
        return self._try("exec", pod, "-c", container, "--", *command)

    def through(self, service: str, path: str) -> Any:
        """JSON from a service (`name:port`) by way of the API server; None where that can't be had."""
        way = f"/api/v1/namespaces/{self._namespace}/services/{service}/proxy{path}"
        return self._try("get", "--raw", way)

    def _try(self, *arguments: str) -> Any:
        try:
            done = self._run(*arguments)
        except ConfigError:  # it hangs: whatever is behind the API server doesn't answer
            return None
        return _json(done.stdout) if done.returncode == 0 else None

    def _json(self, *what: str) -> Any:
        done = self._run("get", *what, "-o", "json")
        if done.returncode:
            kind = NotThere if "NotFound" in done.stderr else ConfigError
            raise kind(_explained(done.stderr.strip(), self._namespace))
        return json.loads(done.stdout)

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["kubectl", "-n", self._namespace, *arguments]
        try:
            return subprocess.run(  # noqa: S603
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            text = f"`{' '.join(command)}` doesn't come back: is the cluster there?"
            raise ConfigError(text) from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _explained(error: str, namespace: str) -> str:
    for signs, hint in _HINTS.items():
        if any(sign in error for sign in signs):
            return f"{error}\n{hint.format(namespace)}"
    return error
