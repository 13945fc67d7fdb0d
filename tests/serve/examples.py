"""The examples of docs/first-model.md as one config, trained by the page's own commands."""

import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tests.package.tracked import tracked
from tests.serve.configs import router, write
from tests.server import ROOT

PAGE = (ROOT / "docs/first-model.md").read_text()
KINDS = {path.parent.name for path in tracked("docs/examples/*/tandem.yaml")}
TRAININGS = re.findall(r"^\.venv/bin/python (docs/examples/\S+/train\.py \S+[^\n#]*)", PAGE, re.M)


def trained(folder: Path, commands: list[str]) -> None:
    """Run what the page says, with its `models/` in `folder`; two at a time."""
    # A thread each: two that share the cores wait for each other.
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def run(command: str) -> None:
        words = [
            str(folder / word) if word.startswith("models/") else word for word in shlex.split(command)
        ]
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, commands))


def base(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The inline models, and the applications, of all examples; their models in `folder`."""
    inline, remote = [], []
    for kind in sorted(KINDS):
        config = yaml.safe_load((ROOT / "docs/examples" / kind / "tandem.yaml").read_text())
        first, *others = config["applications"]
        for deployment in first.get("deployments", ()):
            inline += deployment["user_config"]["models"]
        for other in others:
            remote.append(other)
            other["args"]["resources"] = {"num_cpus": 0.5}  # they share a machine here
    for model in (*inline, *(other["args"] for other in remote)):
        model["storageUri"] = str(folder / model["storageUri"])
    return inline, remote


def first_versions(folder: Path) -> Path:
    """Everything trained once, and the config that serves it."""
    trained(folder, [command for command in TRAININGS if re.search(r"/1\s*$", command)])
    inline, remote = base(folder)
    return write(folder / "tandem.yaml", router(*inline), *remote)


def block(starting: str) -> str:
    """The YAML of the page that starts so."""
    return next(one for one in re.findall(r"```yaml\n(.*?)```", PAGE, re.S) if one.startswith(starting))


def exchanges() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Path, body and answer of every curl command that the page shows with its answer, in its order."""
    pattern = r"curl -s http://127\.0\.0\.1:8000(\S+) -d '([^']+)'\n```\n```json\n(.*?)```"
    found = re.findall(pattern, PAGE, re.DOTALL)
    return [(path, json.loads(body), json.loads(answer)) for path, body, answer in found]
