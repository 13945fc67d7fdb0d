"""`tandem models list|versions|load|unload`: tables, or JSON."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence

from serve_app.tools.models.progress import shown
from serve_app.tools.models.service import TOKEN, Refused, Row, Service, address_of, parameters


def run(options: Namespace) -> int:
    """0 when it was done, 1 when the service refuses it."""
    service = Service(address_of(options.address), os.environ.get(TOKEN, ""))
    try:
        rows = _WHAT[options.what](service, options)
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        print(table(rows) if rows else _NOTHING.get(options.what, "no models"))
    return 0


def _list(service: Service, options: Namespace) -> list[Row]:
    return service.index()


def _versions(service: Service, options: Namespace) -> list[Row]:
    rows = [row for row in service.index() if row["name"] == options.model]
    if not rows:
        raise Refused(f"no model '{options.model}'")
    counts = service.counts(options.model) if any(row["version"] for row in rows) else {}
    return [
        {
            "version": row["version"],
            "state": row["state"],
            "requests": counts.get(row["version"], 0),
            "reason": row["reason"],
        }
        for row in rows
    ]


def _load(service: Service, options: Namespace) -> list[Row]:
    given = parameters(options.config, options.file, options.version)
    with shown(service, options.model):
        service.change("load", options.model, given)
    return _after(service, options)


def _unload(service: Service, options: Namespace) -> list[Row]:
    service.change("unload", options.model, {"version": options.version} if options.version else {})
    return _after(service, options)


def _after(service: Service, options: Namespace) -> list[Row]:
    return [row for row in service.index() if row["name"] == options.model]


_NOTHING = {"unload": "it is unloaded, and nothing of its name is configured"}
_WHAT = {"list": _list, "versions": _versions, "load": _load, "unload": _unload}


def table(rows: Iterable[Row]) -> str:
    """Columns as wide as what is in them; '-' where there is nothing."""
    listed = list(rows)
    names = [name for name in listed[0] if name != "reason" or any(row["reason"] for row in listed)]
    cells = [names, *([str(row[name]) or "-" for name in names] for row in listed)]
    if names[-1] == "reason":
        cells = [[*row[:-1], row[-1] if row[-1] != "-" else ""] for row in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(row, widths) for row in cells)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
