from serve_app.config.payloads import Queue
from serve_app.observability.payloads.log import PayloadLog
from serve_app.observability.payloads.metrics import PayloadMetrics
from serve_app.observability.payloads.waiting import Waiting
from tests.unit.observability.conftest import Handed
from tests.unit.observability.payloads.test_waiting import record


class Sender:
    name = "audit"

    alive = True

    def __init__(self) -> None:
        self.waiting = Waiting(Queue(maxEvents=2))


async def test_every_event_is_counted_once(handed: Handed) -> None:
    log, sender = PayloadLog("own"), Sender()
    log.senders = [sender]  # type: ignore[list-item]
    made = PayloadMetrics(log)
    for _ in range(5):
        sender.waiting.offer(record())
    made._flush()
    sender.waiting.done(sender.waiting.take())
    sender.waiting.done(sender.waiting.take(), "refused")
    made._flush()
    made._flush()
    assert handed["payload_events_sent"] == [({"logger": "audit"}, 1)]
    assert handed["payload_events_dropped"] == [
        ({"logger": "audit", "reason": "full"}, 3),
        ({"logger": "audit", "reason": "refused"}, 1),
    ]
    assert [value for _, value in handed["payload_events_waiting"]] == [2, 0, 0]


async def test_one_that_ends_counts_beside_another_of_its_name(handed: Handed) -> None:
    """What waits is what waits for both, and nothing is lost or counted twice when one is gone."""
    log, old, new = PayloadLog("own"), Sender(), Sender()
    log.senders, log._ending = [new], [old]  # type: ignore[list-item]
    made = PayloadMetrics(log)
    for one in (old, new):
        one.waiting.offer(record())
        one.waiting.offer(record())
    new.waiting.offer(record())
    made._flush()
    assert handed["payload_events_waiting"][-1] == ({"logger": "audit"}, 4)
    old.waiting.done(old.waiting.take(2), "stopped")
    old.alive = False
    made._flush()
    assert handed["payload_events_waiting"][-1] == ({"logger": "audit"}, 2)
    assert log.all() == [new]
    made._flush()
    assert list(made._known) == [new]
    log.senders = []
    made._flush()
    assert handed["payload_events_waiting"][-1] == ({"logger": "audit"}, 0)
    shown = len(handed["payload_events_waiting"])
    made._flush()
    assert len(handed["payload_events_waiting"]) == shown  # of whom is gone nothing more
    assert handed["payload_events_dropped"] == [
        ({"logger": "audit", "reason": "full"}, 1),
        ({"logger": "audit", "reason": "stopped"}, 2),
    ]
