"""`python -m tests.unit.cost.timed`: what it takes to share a model's requests, in processor time.

The same requests as are counted, whole in one process with their client: short blocks of the ways in
turn, again and again. What other work on the machine does to a block only makes it longer: so the fast
ones are compared, the tenth percentile of each way with that of the model as it is.
"""

import asyncio
import gc
import time

import numpy as np

from tests.unit.cost import ways
from tests.unit.ingress.connections import Client

PLAIN, SHARED = "HTTP, JSON", "HTTP, of one user"
# By whom each is asked: one user, or another one each time, of more than a Router remembers; and what it
# is compared with.
WAYS = {
    "one user, as it is": (PLAIN, False, 0),
    "one user, by turns": ("HTTP, shared by turns", False, 0),
    "one user, sticky": (SHARED, False, 0),
    "one user, as it is again": (PLAIN, False, 0),
    "others each time, as it is": (PLAIN, True, 4),
    "others each time, sticky": (SHARED, True, 4),
}
BLOCK, ROUNDS, WARM_UP, USERS, FAST = 25, 800, 20, 20_000, 0.1


def data(name: str, user: int) -> bytes:
    """As it is sent. A user's header comes with each: one without would be shorter."""
    sent = ways.sent(ways.REQUESTS[name], user)
    if b"X-User" in sent:
        return sent
    head, body = sent.split(b"\r\n\r\n", 1)
    return head + b"\r\nX-User: user-%d\r\n\r\n" % (1000 + user) + body


async def measured() -> np.ndarray:
    """Seconds of each block, by round and way."""
    found = np.zeros((WARM_UP + ROUNDS, len(WAYS)))
    asked = {name: [data(name, user) for user in range(USERS)] for name in {PLAIN, SHARED}}
    asked["HTTP, shared by turns"] = [data("HTTP, shared by turns", 0)]
    user = 0
    async with ways.serving() as address:
        client = Client(address)
        for number in range(len(found)):
            if number % 20 == 0:
                gc.collect()
            for at, (name, others, _) in enumerate(WAYS.values()):
                some = [asked[name][0]] * BLOCK
                if others:
                    some = [asked[name][(user + one) % USERS] for one in range(BLOCK)]
                began = time.process_time()
                for one in some:
                    await client.ask(one)
                found[number, at] = time.process_time() - began
            user += BLOCK
        client.close()
    return found[WARM_UP:]


def main() -> None:
    gc.disable()
    found = asyncio.run(measured())
    fast = np.quantile(found, FAST, axis=0)
    drawn = np.random.default_rng(1).integers(0, ROUNDS, (500, ROUNDS))
    again = np.quantile(found[drawn], FAST, axis=1)  # the bootstrap's
    for at, (name, (*_, beside)) in enumerate(WAYS.items()):
        if at == beside:
            each = fast[at] / BLOCK * 1e6
            print(f"{name}: {each:.1f} µs of a processor for each, its client among it")
            continue
        low, high = np.quantile(again[:, at] / again[:, beside], (0.025, 0.975))
        print(f"{name}: {fast[at] / fast[beside]:.4f} of that ({low:.4f} to {high:.4f})")


if __name__ == "__main__":
    main()
