"""Installs PyTorch into the environment whose Python runs this: `python pytorch.py VERSION [INDEX]`.

The CPU build, without its dependencies, which the locks hold: from INDEX where one is given, and from
nowhere else ('' is where pip looks); else from PyTorch's own index where that answers, else from
wherever pip looks. Where only the build for CUDA is to be had, as on PyPI and its mirrors, that one,
with its libraries, by gpu.txt.
"""

import json
import platform
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

OWN = "https://download.pytorch.org/whl/cpu"
GPU_LOCK = Path(__file__).with_name("gpu.txt")
ONLY_GPUS = ("cuda-", "nvidia-", "triton")
DISK = 1.7  # times as much as its wheels does a CUDA build take
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
PIP += ("--no-deps", "--upgrade")
HINT = (
    "TORCH_INDEX names an index that has one for CPUs: "
    "make TORCH_INDEX=https://mirror.example.com/pytorch/whl/cpu"
)


def main(version: str, *index: str) -> None:
    wanted = f"torch=={version}"
    if index:
        places = [("--index-url", index[0]) if index[0] else ()]
    else:
        places = [("--timeout", "5", "--retries", "0", "--index-url", OWN), ()]
    problem, found = "", False
    for place in places:
        report, problem = _report(*place, wanted)
        if report and not _for_gpus(report[0]["metadata"]):
            print(f"installing PyTorch {report[0]['metadata']['version']}, for CPUs", flush=True)
            subprocess.run([*PIP, *place, wanted], check=True)
            return
        found = found or bool(report)
    if not found:
        where = index[0] if index and index[0] else "where pip looks (pip config list shows it)"
        raise SystemExit(f"there is no {wanted} at {where}. {HINT}\n{problem}")
    _with_cuda(wanted)


def _report(*arguments: str) -> tuple[list[dict[str, Any]], str]:
    """What pip would install, without doing it, and what it says where it can't."""
    command = [*PIP, "--dry-run", "--ignore-installed", "--report", "-", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["install"] if done.returncode == 0 else []
    return found, done.stderr.strip()[-500:]


def _for_gpus(metadata: dict[str, Any]) -> bool:
    """Whether this wheel needs CUDA's libraries on this machine; elsewhere than on Linux none does."""
    needed = [one for one in metadata.get("requires_dist") or () if one.startswith(ONLY_GPUS)]
    here = [one for one in needed if "platform_machine" not in one or platform.machine() in one]
    return sys.platform == "linux" and bool(here)


def _with_cuda(wanted: str) -> None:
    locked = ("--require-hashes", "--requirement", str(GPU_LOCK))
    if not re.search(rf"^{re.escape(wanted)} ", GPU_LOCK.read_text(), re.MULTILINE):
        raise SystemExit(f"{GPU_LOCK.name} has another version than {wanted}: run make lock")
    report, problem = _report(*locked)
    if not report:
        raise SystemExit(
            f"no CPU build of {wanted} was found, and CUDA's libraries neither. {HINT}\n{problem}"
        )
    sizes = [_size(one["download_info"]["url"]) for one in report]
    much = f"{sum(sizes) / 1e9:.1f} GB" if all(sizes) else "about 3 GB"
    disk = f"{sum(sizes) * DISK / 1e9:.0f} GB" if all(sizes) else "5 GB"
    print(
        f"no CPU build of {wanted} was found: installing the one for CUDA with its libraries, {much} to "
        f"download, about {disk} on disk. {HINT}",
        flush=True,
    )
    subprocess.run([*PIP, *locked], check=True)


def _size(url: str) -> int:
    """Bytes; 0 where the index doesn't say."""
    try:
        asked = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return int(answer.headers.get("Content-Length") or 0)
    except (OSError, ValueError):
        return 0


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None
