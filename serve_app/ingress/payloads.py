"""What comes and goes over HTTP, in its bytes, for payload loggers. There while there are some."""

import re
import time
from collections.abc import Awaitable, Callable

from serve_app.http.asgi import Message, Receive, Scope, Send
from serve_app.observability.payloads.log import EXCHANGE, Exchange, PayloadLog, Unheard

# What asks a model.
_ASKS = re.compile(
    r"/v2/models/[^/]+(?:/versions/[^/]+)?/(?:infer|generate|generate_stream|explain)"
    r"|/v1/models/[^/:]+:(?:predict|explain)"
    r"|(?:/openai)?/v1/(?:chat/completions|completions|embeddings)"
)
Answer = Callable[..., Awaitable[int]]


def listening(answer: Answer, log: PayloadLog) -> Answer:
    """`RestApp.answer`, heard by `log`."""

    async def heard(scope: Scope, receive: Receive, send: Send, named: bool = False) -> int:
        if scope["method"] != "POST" or not _ASKS.fullmatch(scope["path"].rstrip("/")):
            return await answer(scope, receive, send, named)
        if not log.full:
            return await kept(scope, receive, send, named)
        # Nobody has room: whose call it is is all that is noted.
        exchange, status = Unheard(), 0
        token = EXCHANGE.set(exchange)
        try:
            status = await answer(scope, receive, send, named)
            return status
        finally:
            EXCHANGE.reset(token)
            log.unheard(exchange.call, status == 200)

    async def kept(scope: Scope, receive: Receive, send: Send, named: bool) -> int:
        most = log.most
        exchange = Exchange(scope["headers"], time.time(), most)

        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                body = message.get("body", b"")
                exchange.asked += len(body)
                if exchange.asked <= most:
                    exchange.request.append(body)
                else:
                    exchange.request.clear()
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status, exchange.answer_headers = message["status"], message["headers"]
            else:
                body = message.get("body", b"")
                exchange.answered += len(body)
                if exchange.answered <= most:
                    exchange.answer.append(bytes(body))
                else:
                    exchange.answer.clear()
            await send(message)

        token = EXCHANGE.set(exchange)
        try:
            return await answer(scope, received, sent, named)
        finally:
            EXCHANGE.reset(token)
            log.over(exchange)

    return heard
