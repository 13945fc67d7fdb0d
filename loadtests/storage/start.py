"""`python -m loadtests.storage.start [--rounds 9]`: what a replica's process takes until its model is
loaded, out of a local folder and as the second one of a node out of a bucket."""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from loadtests.storage.server import BUCKET, Store

MODELS: dict[str, dict[str, Any]] = {
    "digits-onnx": {"modelFormat": "onnx"},
    "sentences": {"modelFormat": "transformers", "options": {"task": "embedding"}},
}
_CHILD = """
import json, sys
from serve_app.config import RemoteModel, parse
from serve_app.runtimes.host import ModelHost
host = ModelHost(parse(RemoteModel, json.loads(sys.argv[1])), starting=True)
host.load()
"""


def main() -> int:
    """0: the second replica's start is within 5 % of one from a local folder, and fetches nothing."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.storage.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--models", type=Path, default=Path(".models"))
    asked = parser.parse_args()
    store, worst, sent = Store(), 0.0, 0
    try:
        print("| model | first replica | second | later, asking | local folder | second | fetched |")
        print("|---|---|---|---|---|---|---|")
        for name, about in MODELS.items():
            found = _measured(store, asked.models / name, name, about, asked.rounds)
            ratio = found["second"] / found["local"] - 1
            worst, sent = max(worst, ratio), sent + int(found["sent"])
            seconds = " | ".join(f"{found[one]:.2f} s" for one in ("first", "second", "asking", "local"))
            print(f"| {name} | {seconds} | {ratio:+.1%} | {found['sent']:.0f} bytes |", flush=True)
    finally:
        store.close()
    return 1 if worst > 0.05 or sent else 0


def _measured(
    store: Store, folder: Path, name: str, about: dict[str, Any], rounds: int
) -> dict[str, float]:
    """Seconds of CPU: of the first, and medians; bytes sent to the second ones."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            store.put(f"{name}/{file.relative_to(folder)}", file.read_bytes())
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, **store.env, "TANDEM_CACHE": cache}
        remote = json.dumps({"name": name, "storageUri": f"s3://{BUCKET}/{name}", **about})
        local = json.dumps({"name": name, "storageUri": str(folder.absolute()), **about})
        found: dict[str, list[float]] = {"first": [_start(remote, env)], "sent": []}
        for _ in range(rounds):
            for listed in Path(cache).glob("v1-*/listings/*"):
                listed.unlink()  # as when a minute has gone by
            found.setdefault("asking", []).append(_start(remote, env))
            store.spoil([], [])
            found.setdefault("second", []).append(_start(remote, env))
            found["sent"].append(store.sent)
            found.setdefault("local", []).append(_start(local, env))
        sent = sum(found.pop("sent"))
        return {**{one: statistics.median(times) for one, times in found.items()}, "sent": sent}


def _start(config: str, env: dict[str, str]) -> float:
    """CPU seconds: the machine may be busy with others."""
    began = time.monotonic()
    process = os.spawnve(os.P_NOWAIT, sys.executable, [sys.executable, "-c", _CHILD, config], env)
    _, status, usage = os.wait4(process, 0)
    assert status == 0, f"a start ended with {status} after {time.monotonic() - began:.1f} s"
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
