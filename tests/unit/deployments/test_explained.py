"""How an explainer's replica asks the model."""

import asyncio

import pytest

from serve_app.deployments.explained import Explained
from serve_app.errors import ModelFailed


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
