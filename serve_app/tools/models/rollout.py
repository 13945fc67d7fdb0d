"""`tandem rollout MODEL`: how it stands and what was decided; start, pause, resume, abort, promote."""

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterable

import yaml

from serve_app.config import Rollout, parse
from serve_app.errors import ConfigError
from serve_app.releases.rollout.exports import Export, argo, flagger, kserve
from serve_app.tools.models.command import table
from serve_app.tools.models.service import TOKEN, Refused, Row, Service, address_of, text_of

_EACH_S = 1.0
_BEGINS_S = 120.0  # that one of the configuration may take to begin, which is watched
_BAD = ("rolledBack", "aborted")


def run(options: Namespace) -> int:
    """0; 1 when the service refuses it, or a rollout that was watched was rolled back or aborted."""
    if options.config and options.verb != "start":
        raise ConfigError("--config is for start")
    if bool(options.to) != (options.verb == "export"):
        raise ConfigError("export and --to belong together")
    service = Service(address_of(options.address), os.environ.get(TOKEN, ""))
    try:
        found = _begun(service, options)
        if options.watch:
            found = _watched(service, options.model, found, options.json)
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    if options.to:
        export = exported(found, options)
        print("\n".join(f"note: {one}" for one in export.notes), file=sys.stderr)
        print(yaml.safe_dump_all(export.objects, sort_keys=False), end="")
    elif options.json:
        print(json.dumps(found, indent=2))
    else:
        print(shown(found, records=not options.watch))
    return int(options.watch and found["phase"] in _BAD)


def _begun(service: Service, options: Namespace) -> Row:
    """What is asked for; to watch, once the configuration's own rollout has begun."""
    until = time.monotonic() + (_BEGINS_S if options.watch else 0)
    while True:
        try:
            found = service.rollout(options.model, _said(options))
            if not found.get("waits") or time.monotonic() > until:
                return found
        except Refused as error:
            if "has no rollout yet" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(_EACH_S)


def _said(options: Namespace) -> Row | None:
    if options.verb in ("status", "export"):
        return None
    said: Row = {"verb": options.verb}
    if options.config:
        try:
            said["rollout"] = json.loads(text_of(options.config))
        except ValueError as error:
            raise ConfigError(f"--config: expected JSON: {error}") from None
    return said


def exported(found: Row, options: Namespace) -> Export:
    """The rollout as others have it."""
    model, config = found["model"], parse(Rollout, found["rollout"], "rollout")
    if options.to == "argo":
        return argo(model, config, found["baseline"], options.prometheus)
    if options.to == "flagger":
        return flagger(model, config, found["baseline"], options.prometheus)
    predictors = {
        version: {"model": {"modelFormat": {"name": options.format}, "storageUri": uri}}
        for version, uri in options.uri
    }
    for version in (config.version, found["baseline"]):
        if version not in predictors:
            raise ConfigError(f"--uri: KServe has to know where version {version} lies: {version}=URI")
    return kserve(model, config, found["baseline"], predictors)


def _watched(service: Service, model: str, found: Row, quiet: bool) -> Row:
    """Until it is over; what is decided is told as it comes."""
    id, told = found["id"], set[tuple[float, str]]()
    while True:
        fresh = [one for one in found["records"] if (one["time"], one["what"]) not in told]
        for line in () if quiet else _lines(fresh):
            print(line, flush=True)
        told |= {(one["time"], one["what"]) for one in fresh}
        if found["id"] != id:  # another one took its place: that is the one to watch
            id, told = found["id"], set()
        elif found["phase"] in ("promoted", *_BAD):
            return found
        time.sleep(_EACH_S)
        found = service.rollout(model)


def shown(found: Row, records: bool = True) -> str:
    """How it stands: its versions, its metrics, what was decided."""
    step, steps = found["step"] + 1, len(found["rollout"]["steps"])
    lines = [
        f"{found['model']}: version {found['version']} beside {found['baseline']}: {found['phase']}, "
        f"step {step} of {steps}"
        + (f"; a dry run, which advises: {found['advice']}" if found["advice"] else "")
    ]
    counts = found["counts"]
    lines.append(
        table(
            {
                "version": version,
                "share": f"{weight:g} %",
                "requests": counts[version].get("requests", 0),
                "failed": counts[version].get("errors", 0),
            }
            for version, weight in found["weights"].items()
        )
    )
    evidence, needed = found["evidence"], found["needed"]
    lines.append(
        f"evidence for a rollback {evidence['rollback']} of {needed['rollback']}, "
        f"for a promotion {evidence['promote']} of {needed['promote']}"
    )
    return "\n".join([*lines, *(_lines(found["records"]) if records else ())])


def _lines(records: Iterable[Row]) -> Iterable[str]:
    for one in records:
        moment = time.strftime("%H:%M:%S", time.localtime(one["time"]))
        yield f"{moment}  {one['what']}: {one['why']}"
