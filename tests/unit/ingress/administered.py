"""The repository API's edges, before what would go to the Steward."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from serve_app.config import Admin, Limits, parse
from serve_app.errors import NotFound
from serve_app.ingress.admin import AdminApp
from serve_app.ingress.rest import RestApp
from serve_app.releases.asked import Asked
from tests.unit.planes import plane

TOKEN = "a-token-of-some-length"
BEARER = {"authorization": f"Bearer {TOKEN}"}


class Changes:
    """What would go to the Steward."""

    def __init__(self) -> None:
        self.asked: list[tuple[Asked, str]] = []
        self.noted: list[dict] = []
        self.directed: list[tuple] = []
        self.rolled: list[tuple] = []
        self.error: Exception | None = None

    def known(self, model):
        return model == "m"

    async def audit(self):
        return {"generation": 3, "audit": [{"verb": "load"}]}

    async def shadowed(self, model):
        if model != "m":
            raise NotFound(f"no model '{model}'")
        return {"model": model, "config": None}

    async def apply(self, asked, by):
        self.asked.append((asked, by))
        if self.error:
            raise self.error

    def traffic(self, model):
        return {"name": model, "traffic": self.directed[-1][1] if self.directed else None}

    async def direct(self, model, traffic, by):
        if self.error:
            raise self.error
        self.directed.append((model, traffic, by))

    async def rollout(self, model):
        return {"model": model, "phase": "running"}

    async def roll(self, model, verb, said, by):
        self.rolled.append((model, verb, said, by))

    async def refused(self, line):
        self.noted.append(line)


def limits() -> Limits:
    return Limits(maxBodyBytes=5000)


def app(changes, **admin) -> AdminApp:
    return AdminApp(parse(Admin, {"webhook": {"models": {"reg": "m"}}, **admin}), changes, limits)


@asynccontextmanager
async def client(changes) -> AsyncIterator[httpx.AsyncClient]:
    """Over HTTP."""
    rest = RestApp(plane(), limits)
    rest.admin = app(changes)
    transport = httpx.ASGITransport(rest)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as made:
        yield made
