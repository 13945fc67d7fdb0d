from serve_app.config.payloads import Queue
from serve_app.observability.payloads.log import PayloadLog
from serve_app.observability.payloads.metrics import PayloadMetrics
from serve_app.observability.payloads.waiting import Waiting
from tests.unit.observability.conftest import Handed
from tests.unit.observability.payloads.test_waiting import record


class Sender:
    name = "audit"

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
