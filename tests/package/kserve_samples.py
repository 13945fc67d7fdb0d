"""KServe's published samples: what becomes of each. `python -m tests.package.kserve_samples` says it.

They lie in a checkout of github.com/kserve/kserve, which TANDEM_KSERVE names; nothing of it is here.
"""

import copy
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.check import kserve, served
from serve_app.tools.kserve import both_ways
from serve_app.tools.kserve.merge import same
from serve_app.tools.kserve.service import Service
from serve_app.tools.kserve.translate import accounted, is_ours
from serve_app.tools.kube.documents import read

VARIABLE = "TANDEM_KSERVE"
FOLDERS = ("docs/samples", "python")
# Of a reason's sentence, what all of its kind have in common.
REASONS = {
    "needs inputs and outputs": "TorchServe's archives, TorchScript: nothing says what the tensors are",
    "a container of one's own": "a container of one's own: an image, and no model",
    "transformer": "a transformer's container",
    "`triton` leaves open": "Triton's repository of models, of a format that the file doesn't say",
    "v1alpha2's form": "the form of v1alpha2, which KServe 0.21 refuses, too",
    "PMML": "PMML: no runtime",
    "Paddle": "Paddle: no runtime",
    "isn't fetched": "a model in an image (`oci+fetch://`, `oci+native://`)",
    "secret": "a storage that a secret in the cluster describes",
    "revision of before": "all traffic to a revision that the file doesn't name",
    "no model '": "a graph of containers of one's own",
    "neither `art`": "refused by KServe 0.21, too (explainers that it has no more, two predictors)",
    "exactly one": "refused by KServe 0.21, too (explainers that it has no more, two predictors)",
    "one engine over several pods": "an engine over several pods",
    "no `name`": "refused by KServe 0.21, too (explainers that it has no more, two predictors)",
    "needs storageUri": "a server of many models, whose TrainedModels are in another file",
}


@dataclass
class Sample:
    """One resource of a file. `reasons` '' where it is served."""

    file: Path
    service: Service
    reason: str


def checkout() -> Path:
    """Where the samples are; skips where nobody says so."""
    if not (named := os.environ.get(VARIABLE)):
        pytest.skip(f"{VARIABLE} names no checkout of kserve/kserve")
    return Path(named)


def commit(folder: Path) -> str:
    """Of the checkout, '' where git doesn't know."""
    done = subprocess.run(
        ["git", "-C", folder, "rev-parse", "--short=9", "HEAD"], capture_output=True, text=True
    )
    return done.stdout.strip() if not done.returncode else ""


def files(folder: Path) -> Iterator[Path]:
    for part in FOLDERS:
        yield from sorted(one for one in (folder / part).rglob("*.y*ml"))


def samples(folder: Path) -> tuple[list[Sample], list[Path]]:
    """All resources that Tandem might serve, and the files of them that are no YAML."""
    found: list[Sample] = []
    unreadable = []
    for file in files(folder):
        text = file.read_text()
        if (
            "InferenceService" not in text
            and "TrainedModel" not in text
            and "InferenceGraph" not in text
        ):
            continue
        try:
            documents = read(file)
        except ConfigError:
            unreadable.append(file)
            continue
        if not any(is_ours(one) for one in documents):
            continue
        for one in documents:
            one.report.extend(kserve.check(one))
        translation = served.served(documents, here=False)
        served.run(translation)
        for service in translation.services:
            wrong = [one for one in service.document.report.findings() if one.severity == "error"]
            found.append(Sample(file, service, _reason([one.what for one in wrong])))
    return found, unreadable


def _reason(said: list[str]) -> str:
    for part, reason in REASONS.items():
        if any(part in one for one in said):
            return reason
    return said[0] if said else ""


def round_trips(sample: Sample) -> bool:
    """Whether it comes back as it was, and nothing of it is lost."""
    manifest = both_ways.ray_service([sample.service])
    config = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    found, _ = both_ways.inference_services(manifest, config)
    wanted = both_ways.own_words(sample.service.document.data)
    return len(found) == 1 and same(found[0], wanted) and not accounted(sample.service)


def local(sample: Sample, uri: str, name: str) -> dict[str, Any]:
    """Its model's entry, with the files of `uri` instead of its own."""
    entry = copy.deepcopy(sample.service.models[0].entry)
    for key in ("replicas", "autoscaling", "resources", "model", "versions"):
        entry.pop(key, None)
    return {**entry, "name": name, "storageUri": uri, "trusted": True}


def table(found: list[Sample]) -> str:
    """The rows of the documentation's table."""
    kinds = sorted({one.service.document.kind for one in found})
    lines = ["| | samples | served | not served |", "|---|---|---|---|"]
    for kind in kinds:
        mine = [one for one in found if one.service.document.kind == kind]
        bad = Counter(one.reason for one in mine if one.reason)
        reasons = "; ".join(f"{count} x {reason}" for reason, count in bad.most_common())
        lines.append(f"| {kind} | {len(mine)} | {sum(not one.reason for one in mine)} | {reasons} |")
    return "\n".join(lines)


if __name__ == "__main__":
    every, broken = samples(Path(sys.argv[1] if len(sys.argv) > 1 else os.environ[VARIABLE]))
    print(table(every))
    print(f"\n{len(broken)} files more are no YAML")
    for sample in every:
        print(sample.reason or "served", "|", sample.file, sample.service.name)
