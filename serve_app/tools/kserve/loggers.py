"""A component's `logger` as an entry of the Router's `payloads`, and back."""

import re
from collections.abc import Mapping
from typing import Any

from serve_app.config.payloads import STORES
from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Service

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def read(logger: Field, service: Service, model: str, component: str = "predictor") -> None:
    """Where the requests of a model, which is that `component` of its service, are sent, and which."""
    if logger.of(dict) is None:
        return
    url = logger.at("url").of(str)
    if not url:
        logger.warn(
            "no url: payloads aren't logged", "KServe's is its configuration's, which isn't here",
            "url: http://…",
        )  # fmt: skip
        return
    entry: dict[str, Any] = {"url": url, "models": [model]}
    logger.at("url").carry()
    entry["mode"] = logger.at("mode").take(str) or "all"
    if headers := logger.at("metadataHeaders").take(list):
        entry["metadataHeaders"] = headers
    entry["inferenceService"] = service.name
    if component != "predictor":
        entry["component"] = component
    if namespace := service.root.text("metadata", "namespace"):
        entry["namespace"] = namespace
    if url.partition("://")[0] in STORES:
        _stored(logger, entry)
    for one in logger.inner():
        if not logger.ledger.fate(one.place):
            one.warn("not read of a logger", "the address says where, and the environment who asks")
    service.payloads.append(entry)


def _stored(logger: Field, entry: dict[str, Any]) -> None:
    """How many are written together: KServe writes each by itself where nothing is said."""
    number = logger.at("batchSize").take(int)
    batch: dict[str, Any] = {"maxEvents": max(number or 1, 1)}
    wait = logger.at("batchInterval")
    text = wait.of(str)
    found = _DURATION.fullmatch(text) if text else None
    if found:
        batch["maxSeconds"] = float(found[1]) * _SECONDS[found[2]]
        wait.carry()
    entry["batch"] = batch
    path = logger.text("storage", "path").strip("/")
    if path:
        logger.at("storage", "path").carry()
        entry["url"] = f"{entry['url'].rstrip('/')}/{path}"


def back(entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The service whose it is, '' where it is several ones', and the logger."""
    models = entry.get("models") or []
    name = entry.get("inferenceService") or (models[0] if len(models) == 1 else "")
    found = {"url": entry.get("url"), "mode": entry.get("mode", "all")}
    if entry.get("metadataHeaders"):
        found["metadataHeaders"] = entry["metadataHeaders"]
    return str(name), found
