"""What a transformer's class raises, as clients are told of it."""

import asyncio
import logging

import pytest

from serve_app.config import Limits
from serve_app.core.graphs.transformers import Transformers
from serve_app.ingress.grpc import Servicer
from serve_app.protocol import inference_pb2 as pb
from serve_app.runtimes.transformer import KServeTransformer
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.ingress.test_transformers import ROW, V2, Kept, entry, v1, v2

MODULE = """
import asyncio

import fastapi
import starlette.exceptions
from kserve import Model, errors

teapot = fastapi.HTTPException(418, "teapot")


class Own(errors.ModelNotReady):
    pass


class Raises(Model):
    def preprocess(self, payload, headers=None):
        raise eval(headers["how"])


class Awaits(Model):
    async def preprocess(self, payload, headers=None):
        await asyncio.sleep(0)
        if headers["how"] == "wait":
            await asyncio.sleep(60)
        raise eval(headers["how"])


class Last(Model):
    def postprocess(self, result, headers=None):
        raise eval(headers["how"])
"""


@pytest.fixture
async def raises(the_plane, write_module):
    name, spawn = write_module(MODULE), Kept()
    made = Transformers(the_plane, KServeTransformer, spawn)
    served = [entry(name, kind.lower(), kind) for kind in ("Raises", "Awaits", "Last")]
    made.configure([*served, entry(name, "outer", "Model", predictor="raises")])
    await spawn.done()
    yield made
    made.configure([])


@pytest.mark.parametrize("name", ["raises", "awaits", "last", "outer"])
@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("teapot", 418, "teapot"),
        ("fastapi.HTTPException(404, {'a': 1})", 404, '{"a": 1}'),
        ("fastapi.HTTPException(429)", 429, "Too Many Requests"),
        ("starlette.exceptions.HTTPException(409, 'taken')", 409, "taken"),
        ("fastapi.HTTPException(503, 'later')", 503, "later"),
        ("fastapi.HTTPException(500, 'broken')", 500, "broken (request id 7)"),
        ("fastapi.HTTPException(507, 'no room')", 507, "no room (request id 7)"),
        ("fastapi.HTTPException(302, 'x')", 500, "raised HTTPException (request id 7)"),
        ("errors.InvalidInput('no')", 400, "no"),
        ("errors.ModelNotFound('a')", 404, "Model with name a does not exist."),
        ("errors.ModelNotReady('a', 'yet')", 503, "Model with name a is not ready. yet"),
        ("Own('a')", 503, "Model with name a is not ready."),
        ("errors.ServerNotReady('yet')", 503, "Server is not ready. yet"),
        ("errors.ServerNotLive()", 503, "Server is not live."),
        ("errors.UnsupportedProtocol('v7')", 501, "Unsupported protocol v7."),
        ("NotImplementedError('x')", 501, "raised NotImplementedError"),
        ("errors.InferenceError('x')", 500, "raised InferenceError (request id 7)"),
        ("errors.ModelMissingError('x')", 500, "raised ModelMissingError (request id 7)"),
        ("errors.NoModelReady([], 'x')", 500, "raised NoModelReady (request id 7)"),
        ("errors.WorkersShouldBeLessThanMaxWorkersError(3)", 500,
         "raised WorkersShouldBeLessThanMaxWorkersError (request id 7)"),
        ("GeneratorExit('x')", 500, "raised GeneratorExit (request id 7)"),
    ],
)  # fmt: skip
async def test_over_http(http, raises, name, how, status, said):
    for ask, body in ((v1, ROW), (v2, V2)):
        found = await ask(http, name, {**body, "id": "7"}, how=how, **{"x-request-id": "7"})
        assert found.status_code == status, found.text
        told = found.json()["error"]
        who = "raises" if name == "outer" else name
        assert told == (f"transformer '{who}' {said}" if said.startswith("raised") else said)
        assert found.headers["x-request-id"] == "7"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("teapot", "INVALID_ARGUMENT"),
        ("fastapi.HTTPException(401)", "UNAUTHENTICATED"),
        ("fastapi.HTTPException(403)", "PERMISSION_DENIED"),
        ("fastapi.HTTPException(404)", "NOT_FOUND"),
        ("fastapi.HTTPException(429)", "RESOURCE_EXHAUSTED"),
        ("fastapi.HTTPException(500)", "INTERNAL"),
        ("fastapi.HTTPException(503)", "UNAVAILABLE"),
        ("fastapi.HTTPException(504)", "DEADLINE_EXCEEDED"),
        ("errors.ModelNotReady('a')", "UNAVAILABLE"),
        ("errors.UnsupportedProtocol('a')", "UNIMPLEMENTED"),
        ("GeneratorExit()", "INTERNAL"),
    ],
)
async def test_over_grpc(the_plane, raises, how, code):
    message = pb.ModelInferRequest(model_name="raises")
    context = Context()
    context.metadata = (("how", how),)
    await Servicer(the_plane, lambda: Limits()).ModelInfer(message.SerializeToString(), context)
    assert context.code.name == code


@pytest.mark.parametrize(
    ("how", "logged"),
    [("teapot", 0), ("errors.ModelNotFound()", 0), ("fastapi.HTTPException(502)", 1),
     ("errors.ModelNotReady('a')", 1), ("NotImplementedError('x')", 1), ("KeyError()", 1)],
)  # fmt: skip
async def test_what_isnt_the_clients_fault_is_logged_once_with_its_traceback(
    http, raises, caplog, how, logged
):
    with caplog.at_level(logging.ERROR, "tandem"):
        await v1(http, "raises", ROW, how=how)
    assert [record.getMessage().count("Traceback") for record in caplog.records] == [1] * logged


async def test_one_that_is_closed_or_cancelled_ends(raises):
    around = raises._served["awaits"].around
    headers = {"how": "wait"}
    asks = type("Asks", (), {"explains": False})()
    work = around.document({}, headers, asks)
    task = asyncio.create_task(until_it_waits(work))
    await task
    work.close()  # it would say RuntimeError if it ignored that
    task = asyncio.create_task(around.document({}, headers, asks))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def until_it_waits(work) -> None:
    """Begins a coroutine, and leaves it where it waits for the first time."""
    work.send(None)
