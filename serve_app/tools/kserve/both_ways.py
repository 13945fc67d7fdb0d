"""There and back: what a RayService has no place for stays in one of its annotations, and comes back.

Equivalent are InferenceServices that KServe's own webhook makes the same: the old form of a predictor is
its `model`. Without the status, and what the API server writes into the metadata.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from serve_app.tools.kserve import back, own
from serve_app.tools.kserve.merge import Difference, differences, merged
from serve_app.tools.kserve.ray_service import write
from serve_app.tools.kserve.service import Service
from serve_app.tools.kube.documents import apart, get

_SERVERS = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation",
    "managedFields", "resourceVersion", "selfLink", "uid",
)  # fmt: skip
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def own_words(document: Mapping[str, Any]) -> dict[str, Any]:
    """A resource as its user wrote it."""
    found: dict[str, Any] = apart({key: value for key, value in document.items() if key != "status"})
    meta = found.get("metadata")
    if isinstance(meta, dict):
        for key in _SERVERS:
            meta.pop(key, None)
        notes = meta.get("annotations")
        if isinstance(notes, dict) and notes.pop(_LAST_APPLIED, None) is not None and not notes:
            del meta["annotations"]
    return found


def ray_service(
    services: Sequence[Service], name: str = "", image: str = "", routers: int = 2
) -> dict[str, Any]:
    """As a RayService that becomes the same InferenceServices again."""
    plain = write(services, name, image, {}, routers)
    config = yaml.safe_load(plain["spec"]["serveConfigV2"])
    back_again = back.convert(config, plain["spec"]["rayClusterConfig"], plain["metadata"])
    returned = {one["metadata"]["name"]: one for one in back_again.services}
    kept: dict[str, list[Difference]] = {}
    for service in services:
        found = list(differences(returned.get(service.name, {}), own_words(service.document.data)))
        if found:
            kept[service.name] = found
    return write(services, name, image, kept, routers)


def inference_services(
    resource: Mapping[str, Any], config: Mapping[str, Any], image: str = ""
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Of a RayService, or of a Serve config (then both are it); and what is to be said, by name."""
    meta = get(dict(resource), "metadata")
    found = back.convert(config, get(dict(resource), "spec", "rayClusterConfig"), meta, image)
    said = list(found.said)
    kept = _kept(meta)
    services = []
    known = set()
    for one in found.services:
        name = one["metadata"]["name"]
        known.add(name)
        whole, missed = merged(one, kept.get(name, []))
        if whole.get("kind") != "InferenceService" and missed:
            said.append((name, f"it was a {whole['kind']}, and was changed: an InferenceService now"))
            whole = one
        elif missed:
            said.append((name, f"{missed} fields of the file of before don't fit what was changed"))
        services.append(whole)
    for name, differing in kept.items():
        if name not in known:
            whole, missed = merged({}, differing)
            if not missed:
                services.append(whole)
    # What comes back from there needs nothing said of it.
    return services, [
        one for one in said if one[0] not in kept or "don't fit" in one[1] or "was a" in one[1]
    ]


def _kept(meta: Any) -> dict[str, list[Difference]]:
    text = get(meta, "annotations", own.KEPT)
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return (
        {
            str(name): [one for one in each if isinstance(one, dict)]
            for name, each in found.items()
            if isinstance(each, list)
        }
        if isinstance(found, dict)
        else {}
    )
