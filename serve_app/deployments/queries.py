"""One number from a Prometheus, by its HTTP API."""

import asyncio
import json
import math
import urllib.parse
import urllib.request

_TIMEOUT_S = 10
_MOST = 2**20
# As a service's own clients: no proxy of the environment, and nowhere else than told.
_opener = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.HTTPHandler, urllib.request.HTTPSHandler, urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor,
):  # fmt: skip
    _opener.add_handler(_handler())


async def asked(address: str, query: str) -> float:
    """What a PromQL query gives now; LookupError where that isn't one number."""
    return await asyncio.to_thread(_asked, address, query)


def _asked(address: str, query: str) -> float:
    url = f"{address.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with _opener.open(url, timeout=_TIMEOUT_S) as answer:
        found = json.loads(answer.read(_MOST))["data"]
    values = [found["result"]] if found["resultType"] == "scalar" else found["result"]
    if len(values) != 1:
        raise LookupError(f"{query!r} gives {len(values)} values, one is needed")
    one = values[0]
    number = float(one[1] if found["resultType"] == "scalar" else one["value"][1])
    if not math.isfinite(number):
        raise LookupError(f"{query!r} gives {number}")
    return number
