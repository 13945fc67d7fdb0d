"""vLLM's front end behind a Router: requests that come together, and what nobody reads."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from serve_app.internals.vllm_app import VllmApp
from serve_app.llm import front
from serve_app.llm.front import Turns, behind_router
from serve_app.llm.in_process import call

STEPS = 5
LONG_S = 30.0  # no turn of these tests ends by time, unless it says so


class Front:
    """An application of several steps before its engine has a request, and one after."""

    def __init__(self) -> None:
        turns = Turns()
        self.app = turns.around(self._answer)
        self._add = turns.until(self._added)
        self.seen: list[str] = []
        self.go = asyncio.Event()

    async def _added(self, name: str) -> str:
        self.seen.append(f"{name} added")
        return name

    async def _answer(self, scope: dict[str, Any], receive: object, send: object) -> None:
        name = scope["path"]
        self.seen.append(f"{name} begun")
        if name == "broken":
            raise ValueError(name)
        if name == "slow":
            await self.go.wait()
        for _ in range(STEPS):
            await asyncio.sleep(0)
        assert await self._add(name) == name
        if name == "answering":
            await self.go.wait()

    def ask(self, name: str) -> asyncio.Task[None]:
        """A request of that name, in a task of its own as servers do it."""
        return asyncio.create_task(self.app({"type": "http", "path": name}, None, None))  # type: ignore[arg-type]


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "LONGEST_S", LONG_S)


@pytest.mark.usefixtures("longest")
async def test_the_engine_has_the_first_before_the_second_begins() -> None:
    front = Front()
    await asyncio.gather(*(front.ask(name) for name in "abc"))
    assert front.seen == [f"{name} {what}" for name in "abc" for what in ("begun", "added")]


@pytest.mark.usefixtures("longest")
async def test_who_is_being_answered_holds_up_nobody() -> None:
    front = Front()
    first = front.ask("answering")
    await front.ask("a")
    assert not first.done()
    front.go.set()
    await first


async def test_who_takes_long_holds_up_nobody() -> None:
    front = Front()
    first = front.ask("slow")
    async with asyncio.timeout(LONG_S):
        await asyncio.gather(front.ask("a"), front.ask("b"))
    assert front.seen == ["slow begun", "a begun", "a added", "b begun", "b added"]
    front.go.set()
    await first
    await front.ask("c")  # the turn that ended by time didn't end twice
    assert front.seen[-3:] == ["slow added", "c begun", "c added"]


@pytest.mark.usefixtures("longest")
async def test_a_turn_ends_with_its_request() -> None:
    front = Front()
    gone, broken = front.ask("slow"), front.ask("broken")
    waiting = front.ask("a")
    await asyncio.sleep(0)
    waiting.cancel()
    gone.cancel()
    await asyncio.wait([gone, broken, waiting])
    with pytest.raises(ValueError, match="broken"):
        broken.result()
    await front.ask("b")
    assert front.seen == ["slow begun", "broken begun", "b begun", "b added"]


async def test_what_is_no_request_takes_no_turn() -> None:
    seen = []

    async def app(scope: dict[str, Any], receive: object, send: object) -> None:
        seen.append(scope["type"])

    turns = Turns()
    await turns.around(app)({"type": "lifespan"}, None, None)
    assert await turns.until(_same)(3) == 3
    assert seen == ["lifespan"]


@pytest.mark.usefixtures("longest")
async def test_an_application_as_vllm_builds_it() -> None:
    app, client = FastAPI(), Client()
    app.add_middleware(CORSMiddleware, allow_origins=["*"])

    @app.post("/x")
    async def answer() -> int:
        client.seen.append("begun")
        for _ in range(STEPS):
            await asyncio.sleep(0)
        return await client.add_request(len(client.seen))

    app.state.engine_client = client
    behind_router(VllmApp(app))
    assert [one for one in app.user_middleware if one.cls is CORSMiddleware] == []
    answers = await asyncio.gather(*(_body(app, "/x") for _ in range(2)))
    assert answers == [b"1", b"3"]
    assert client.seen == ["begun", "added"] * 2


class Client:
    """An engine's, as the front end has it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def add_request(self, number: int) -> int:
        """The engine has it."""
        self.seen.append("added")
        return number


async def _body(app: FastAPI, path: str) -> bytes:
    _, *body = [part async for part in call(app, path, b"")]
    return b"".join(body)


async def _same(value: int) -> int:
    return value
