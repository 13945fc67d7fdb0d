"""`python -m tests.unit.cost`: count anew what requests cost, and write it down as the bounds."""

import asyncio

from tests.unit.cost.bounds import bounds, write
from tests.unit.cost.ways import costs

before, found = bounds(), asyncio.run(costs())
for name, (ours, every) in found.items():
    had = before.get(name, (0, 0))
    print(f"{name:<20} {had[0]:6} -> {ours:6} of our own, {had[1]:6} -> {every:6} in all")
write(found)
