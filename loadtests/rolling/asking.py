"""Users who ask at a steady rate, whatever comes back; what each of them got."""

import asyncio
import json
import math
import threading
import time
from collections import Counter, defaultdict
from functools import partial
from itertools import groupby
from types import TracebackType
from typing import Any, Self

import aiohttp

USER = "x-user"
_BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
_RIGHT = [2.0, 4.0, 6.0, 8.0]
_PATIENCE_S = 20
_LATE_S = 1.0  # more of it, and the client is what is measured


class Asking:
    """`rate` requests a second of `users` users, from entering to leaving, in a thread of its own.

    `failed`: statuses and kinds of failures by when they came; `wrong` answers; `seen`: of each user the
    versions in the order in which they came, each once in a row; `asked`, `late` seconds at most.

    Where `most` of them wait for answers, the next ones come later than their time: on a machine that is
    too slow for the rate it isn't the service that fails.
    """

    def __init__(
        self, url: str, model: str, rate: float, users: int = 2000, most: float = math.inf
    ) -> None:
        self._url = f"{url}/v2/models/{model}/infer"
        self._rate, self._users, self._most = rate, users, most
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.asked, self.wrong, self.late = 0, 0, 0.0
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self.failed: list[tuple[float, str]] = []
        self.answered: Counter[str] = Counter()
        self.seen: defaultdict[str, list[str]] = defaultdict(list)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        connector = aiohttp.TCPConnector(limit=256)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            began = time.monotonic()
            while not self._over.is_set():
                now = time.monotonic()
                if len(self._under_way) >= self._most:
                    await asyncio.wait(self._under_way.values(), return_when=asyncio.FIRST_COMPLETED)
                    began += time.monotonic() - now
                    continue
                due = began + self.asked / self._rate
                if due > now:
                    await asyncio.sleep(due - now)
                else:
                    self.late = max(self.late, now - due)
                task = asyncio.create_task(self._ask(session, f"user-{self.asked % self._users}"))
                self._under_way[self.asked] = task
                task.add_done_callback(partial(self._answered, self.asked))
                self.asked += 1
            await asyncio.gather(*self._under_way.values())

    def _answered(self, number: int, _: object) -> None:
        del self._under_way[number]

    async def _ask(self, session: aiohttp.ClientSession, user: str) -> None:
        try:
            async with session.post(self._url, json=_BODY, headers={USER: user}) as answer:
                status, text = answer.status, await answer.text()
            found: dict[str, Any] = json.loads(text) if status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.failed.append((time.time(), type(error).__name__))
            return
        if status != 200:
            self.failed.append((time.time(), f"{status} {text}"[:200]))
            return
        version = found["model_version"]
        self.answered[version] += 1
        self.wrong += found["outputs"][0]["data"] != _RIGHT
        if self.seen[user][-1:] != [version]:
            self.seen[user].append(version)

    def over(self, asked: int) -> bool:
        """Whether so many of them, the first ones, have had their answers."""
        return next(iter(tuple(self._under_way)), asked) >= asked

    def went_back(self, ended: set[str]) -> int:
        """Users who got a version again that they had left.

        `ended` are those that were rolled back: everybody leaves them for the one before, and nobody
        comes again.
        """
        return sum(_again(found, ended) for found in self.seen.values())


def _again(found: list[str], ended: set[str]) -> bool:
    stayed = [version for version, _ in groupby(one for one in found if one not in ended)]
    tried = [one for one in found if one in ended]
    return any(len(set(some)) != len(some) for some in (stayed, tried))
