"""How an explainer's replica asks the model."""

import asyncio
from types import SimpleNamespace

import pytest

from serve_app.deployments.explained import Explained, telling
from serve_app.errors import InvalidArgument, ModelFailed, NotFound, Overloaded, VersionGone


async def test_a_call_that_blocks_isnt_made_where_it_would_wait_for_itself():
    explained = Explained("m", "why")
    with pytest.raises(ModelFailed, match=r"await model\.predict_async"):
        explained.describe("", 1.0)


async def test_from_a_thread_it_is_asked(monkeypatch):
    explained = Explained("m", "why")

    async def call(seconds, method, *args):
        return seconds, method, args

    monkeypatch.setattr(explained, "_call", call)
    assert await asyncio.to_thread(explained.describe, "3", 1.0) == (1.0, "signature", ("m", "3"))


class Router:
    """Its handle, too: what a method returns comes, what it raises would be logged by Serve."""

    error: Exception | None = None

    @telling
    async def signature(self, model, version):
        if self.error is not None:
            raise self.error
        return model, version

    @property
    def handle(self):
        return SimpleNamespace(signature=SimpleNamespace(remote=self.signature))


@pytest.fixture
async def asked():
    router, explained = Router(), Explained("m", "why")
    explained._handle = router.handle
    return router, explained


async def test_what_the_router_answers_comes(asked):
    _, explained = asked
    assert await asyncio.to_thread(explained.describe, "3", 1.0) == ("m", "3")


@pytest.mark.parametrize("kind", [InvalidArgument, NotFound, VersionGone, Overloaded])
async def test_what_it_refuses_is_returned_by_it_and_raised_here(asked, kind):
    router, explained = asked
    router.error = kind("too small")
    assert type(await router.signature("m", "3")) is kind
    with pytest.raises(kind, match="too small"):
        await asyncio.to_thread(explained.describe, "3", 1.0)


@pytest.mark.parametrize("error", [ModelFailed("it raised"), ValueError("a mistake of ours")])
async def test_what_it_fails_with_is_raised_and_so_logged(asked, error):
    router, _ = asked
    router.error = error
    with pytest.raises(type(error)):
        await router.signature("m", "3")
