"""Under which conditions a comparison took place: machine, versions, settings, source."""

import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from loadtests.compare.checks import digest, same_versions, versions, weights
from loadtests.compare.session import Session
from loadtests.servers import ROOT

# Settings that the servers inherit from this shell, and that change how fast they are.
_INHERITED = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "RAY_",
    "PYTHON",
    "LD_PRELOAD",
)


def conditions(session: Session, command: list[str]) -> dict[str, Any]:
    """For the record; Incomparable when the environments compute with different versions."""
    found = {side.name: versions(side) for side in session.sides}
    same_versions({name: some for name, some in found.items() if some})
    options = session.options
    return {
        "began": time.strftime("%Y-%m-%d %H:%M %Z"),
        "command": command,
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory": psutil.virtual_memory().total,
            "system": f"{platform.system()} {platform.release()}",
            "load": os.getloadavg()[0],
        },
        "source": _source(),
        "client": {"python": platform.python_version(), "processes": options.processes},
        "sides": [side.record() for side in session.sides],
        "versions": found,
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(_INHERITED) and "TOKEN" not in name
        },
        "config": {
            "file": str(options.config),
            "digest": digest(session.config),
            "weights": weights(session.config),
            "models": _models(session.config),
        },
        "options": {
            "parts": list(options.parts),
            "cases": [case.name for case in options.cases],
            "rounds": options.rounds,
            "kept": session.kept,
            "starts": options.starts,
            "seconds": options.seconds,
            "warm_up": options.warm_up,
            "steps": options.steps,
            "counts": list(options.counts),
            "spike": options.spike,
            "calm": options.calm,
            "arrivals": options.arrivals,
            "slos": {name: asdict(slo) for name, slo in options.slos.items()},
            "prices": asdict(options.prices),
        },
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _source() -> str:
    """The commit, and whether something was changed since."""
    head = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    return head + (", with changes" if _git("status", "--porcelain", "-uno") else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _models(config: dict[str, Any]) -> list[dict[str, Any]]:
    """What both sides are told of each model, without its signature."""
    found = []
    for application in config["applications"]:
        for deployment in application.get("deployments", []):
            found += (deployment.get("user_config") or {}).get("models", [])
        if not application.get("route_prefix"):
            found.append({"name": application["name"], **application.get("args", {})})
    return [{k: v for k, v in one.items() if k not in ("inputs", "outputs")} for one in found]
