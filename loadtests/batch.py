"""`tandem batch` beside Transformers by itself, on the same cores; and its memory, for few and for many.

    python -m loadtests.batch [--rounds 3] [--rows 3000] [--many 1000000]

The rate is that of a job that runs: from the moment at which every worker has finished a piece, and of
Transformers after its first batches. Memory is what the command and all it starts have alone (USS).
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

CORES = os.cpu_count() or 1
_WORDS = (
    "the",
    "quick",
    "brown",
    "model",
    "serves",
    "many",
    "rows",
    "at",
    "once",
    "and",
    "none",
    "is",
    "lost",
)
_WARM = 2  # batches


def texts(path: Path, rows: int) -> Path:
    """Lines of 3 to 40 words, the same ones each time."""
    chance = random.Random(7)
    with path.open("w") as out:
        out.writelines(
            f"{' '.join(chance.choices(_WORDS, k=chance.randint(3, 40)))}\n" for _ in range(rows)
        )
    return path


def alone(path: Path, threads: int, model: str = ".models/sentences/1", size: int = 64) -> float:
    """Rows per second of a loop as one writes it: tokenize, run, take the mean, line by line."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    network = AutoModel.from_pretrained(model, local_files_only=True).eval()
    lines = path.read_text().splitlines()
    done, began = 0, 0.0
    with torch.inference_mode():
        for at in range(0, len(lines), size):
            if at == _WARM * size:
                done, began = 0, time.monotonic()
            part = lines[at : at + size]
            fed = tokenizer(part, padding=True, truncation=True, max_length=256, return_tensors="pt")
            hidden, mask = network(**fed).last_hidden_state, fed["attention_mask"].unsqueeze(-1)
            mean = (hidden * mask).sum(1) / mask.sum(1)
            torch.nn.functional.normalize(mean, dim=1).numpy()
            done += len(part)
    return done / (time.monotonic() - began)


def processes(path: Path, count: int, threads: int) -> float:
    """Together: that many processes at once, each over all lines."""
    command = [sys.executable, "-m", "loadtests.batch", "--alone", str(path), "--threads", str(threads)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return sum(float(one.communicate()[0]) for one in running)


def batch(model: str, path: Path, out: Path, *more: str) -> tuple[float, int]:
    """Rows per second, and the most memory."""
    env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", "serve_app", "batch", "configs/quickstart.yaml", model, str(path)]
    with subprocess.Popen(
        [*command, str(out), *more], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        most = [0]
        watcher = threading.Thread(target=_watch, args=(running, most))
        watcher.start()
        _, said = running.communicate()
        watcher.join()
    if running.returncode:
        raise SystemExit(said)
    records = sorted((one.stat().st_mtime, int(one.name.split("-")[1])) for one in out.glob("_done/*"))
    first, rest = records[CORES - 1], records[CORES:]
    return sum(rows for _, rows in rest) / (rest[-1][0] - first[0]), most[0]


def _watch(process: "subprocess.Popen[str]", most: list[int]) -> None:
    while process.poll() is None:
        total = 0
        try:
            top = psutil.Process(process.pid)
            for one in [top, *top.children(recursive=True)]:
                total += one.memory_full_info().uss
        except psutil.Error:
            continue  # one ended meanwhile
        most[0] = max(most[0], total)
        time.sleep(0.3)


def main() -> None:
    """Measure in rounds, one after the other, and print a line of JSON for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3000, help="of texts for the embeddings")
    parser.add_argument("--many", type=int, default=1_000_000, help="rows for the memory, beside 10,000")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(alone(options.alone, options.threads))
        return
    with tempfile.TemporaryDirectory() as name:
        folder, ratios = Path(name), []
        lines = texts(folder / "texts.txt", options.rows)
        for number in range(options.rounds):
            whole, apart = processes(lines, 1, CORES), processes(lines, CORES, 1)
            ours, _ = batch("sentences", lines, folder / f"out{number}", "--batch-size", "64")
            ratios.append(ours / max(whole, apart))
            rates = {"one process": whole, "one per core": apart, "tandem batch": ours}
            print(json.dumps({name: round(rate, 1) for name, rate in rates.items()}), flush=True)
        if ratios:
            print(json.dumps({"of the better, median": round(statistics.median(ratios), 3)}), flush=True)
        for rows in (10_000, options.many):
            path = texts(folder / f"{rows}.txt", rows)
            rate, most = batch("identity", path, folder / f"rows{rows}")
            about = {"rows": rows, "rows/s": round(rate), "most memory, MiB": most >> 20}
            print(json.dumps(about), flush=True)


if __name__ == "__main__":
    main()
