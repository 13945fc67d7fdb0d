"""Events on a Kafka topic, in CloudEvents' binary mode: attributes as headers, the id as the key."""

from functools import partial
from typing import Any

from serve_app.errors import ConfigError
from serve_app.observability.payloads.events import Event
from serve_app.observability.payloads.faults import Partly

_FLUSH_S = 10.0
_HEADERS = 2**16  # bytes of a message besides its body
_LARGEST = 10**9  # that librdkafka can be told


class Kafka:
    """By Confluent's client. What a broker hasn't acknowledged is sent again: events may come twice."""

    most = 500

    def __init__(self, brokers: str, topic: str, most_bytes: int) -> None:
        try:
            import confluent_kafka as kafka
        except ImportError as error:
            raise ConfigError(
                f"payloads to Kafka need confluent-kafka ({error}); install it with: "
                "pip install 'tandem-serve[kafka]'"
            ) from None
        self._kafka, self._topic = kafka, topic
        self._too_large = kafka.KafkaError.MSG_SIZE_TOO_LARGE
        self._late = kafka.KafkaError(kafka.KafkaError.REQUEST_TIMED_OUT)
        self._producer = kafka.Producer(
            {
                "bootstrap.servers": brokers,
                "message.timeout.ms": int(_FLUSH_S * 900),
                "message.max.bytes": min(most_bytes + _HEADERS, _LARGEST),
                "log_level": 2,
            }
        )

    def send(self, events: list[Event]) -> None:
        """All of them; Partly where the topic didn't take some; what is too large is refused."""
        messages = dict(enumerate(map(self._message, events)))
        failed = self._send(messages)
        if len(events) > 1:  # brokers say so of a whole batch, too: which of them is it?
            for at in [at for at, error in failed.items() if error.code() == self._too_large]:
                del failed[at]
                failed |= self._send({at: messages[at]})
        if failed:
            refused = {at for at, error in failed.items() if error.code() == self._too_large}
            raise Partly(str(next(iter(failed.values()))), refused, failed.keys() - refused)

    def _message(self, event: Event) -> dict[str, Any]:
        headers = [(f"ce_{name}", value.encode()) for name, value in event.attributes.items()]
        headers.append(("content-type", event.kind.encode()))
        return {"key": event.attributes["id"].encode(), "value": event.data, "headers": headers}

    def _send(self, messages: dict[int, dict[str, Any]]) -> dict[int, Any]:
        """By their places, those that weren't acknowledged, and why."""
        failed: dict[int, Any] = {}
        left = set(messages)

        def delivered(at: int, error: Any) -> None:
            left.discard(at)
            if error is not None:
                failed[at] = error

        for at, message in messages.items():
            told = partial(delivered, at)
            try:
                self._producer.produce(
                    self._topic, **message, on_delivery=lambda error, _, told=told: told(error)
                )
            except (self._kafka.KafkaException, BufferError) as error:  # too large; too many wait
                told(error.args[0] if isinstance(error.args[0], self._kafka.KafkaError) else self._late)
        if self._producer.flush(_FLUSH_S):
            self._producer.purge()
            self._producer.flush(_FLUSH_S)  # it tells what it purged
        return failed | dict.fromkeys(left, self._late)

    def close(self) -> None:
        """What is on its way has been waited for."""
