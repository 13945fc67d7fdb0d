"""`tandem shadow MODEL`: what came of the copies of a model's requests."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.tools.models.command import table
from serve_app.tools.models.service import TOKEN, Refused, Service, address_of


def run(options: Namespace) -> int:
    """0 when there is a shadow, 1 when the service refuses it or there is none."""
    service = Service(address_of(options.address), os.environ.get(TOKEN, ""))
    try:
        found = service.shadow(options.model)
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(lines(found)))
    return 0 if found["config"] else 1


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """For people."""
    config = found["config"]
    if not config:
        yield f"model '{found['model']}' has no shadow (routing.{found['model']}.shadow)"
        return
    routers = found["routers"]
    yield (
        f"version {config['version']} of '{found['model']}' gets copies of {config['percent']:g} % of "
        f"the requests; {routers} Router{'s' * (routers != 1)}"
    )
    if found.get("refused"):
        yield f"refused: {found['refused']}"
    if found["pairs"]:
        yield ""
        yield table(map(_row, found["pairs"]))
    for pair in found["pairs"]:
        yield from _more(pair)
    dropped = ", ".join(f"{reason} {count}" for reason, count in sorted(found["dropped"].items()))
    yield ""
    yield f"not compared: {dropped or 'none'}; {found['waiting']} wait"
    for pair in found["pairs"]:
        for example in pair["examples"]:
            yield from _example(example)


def _row(pair: Mapping[str, Any]) -> dict[str, Any]:
    interval = pair["interval"]
    return {
        "answers": pair["primary"],
        "copies": pair["shadow"],
        "compared": pair["compared"],
        "differ": pair["differed"],
        "share": _percent(pair["share"]),
        f"{interval['confidence']:.0%} ({interval['method']})": (
            f"{_percent(interval['low'])} to {_percent(interval['high'])}"
        ),
    }


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _more(pair: Mapping[str, Any]) -> Iterator[str]:
    of = f"{pair['primary']} and {pair['shadow']}"
    for name, said in pair["outputs"].items():
        worst = "infinitely" if said["worst"] is None else f"{said['worst']:.3g}"
        yield f"{of}: output {name} differs in {said['differed']}, by {worst} at most"
    for side, count in pair["errors"].items():
        where = {"answer": "the answer alone", "copy": "the copy alone", "both": "each of another kind"}
        yield f"{of}: errors, {where[side]}: {count}"
    if agreement := pair.get("agreement"):
        mine, copies = agreement["length"]
        yield (
            f"{of}: {agreement['answers']} texts agree in {_percent(agreement['tokens'])} of their "
            f"tokens; {mine} tokens answered, {copies} in copies"
        )
    if pair["compared"]:
        mine, copies = (1000 * one / pair["compared"] for one in pair["seconds"])
        yield f"{of}: {mine:.3g} ms an answer, {copies:.3g} ms a copy, on average"


def _example(example: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"request {example['id']}, {example['primary']} and {example['shadow']}:"
    for one in example["differences"]:
        values = f" ({one['values']})" if one["values"] else ""
        yield f"  {one['output']}: {one['text']}{values}"
    for side in ("inputs", "answer", "copy"):
        said = example[side]
        yield f"  {side}: {said if isinstance(said, str) else json.dumps(said)}"
