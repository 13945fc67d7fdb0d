"""Events on a Kafka topic, in CloudEvents' binary mode: attributes as headers, the id as the key."""

from typing import Any

from serve_app.errors import ConfigError
from serve_app.observability.payloads.events import Event

_FLUSH_S = 10.0


class Kafka:
    """By Confluent's client. What a broker hasn't acknowledged is sent again: events may come twice."""

    most = 500

    def __init__(self, brokers: str, topic: str) -> None:
        try:
            import confluent_kafka as kafka
        except ImportError as error:
            raise ConfigError(
                f"payloads to Kafka need confluent-kafka ({error}); install it with: "
                "pip install 'tandem-serve[kafka]'"
            ) from None
        self._topic = topic
        self._producer = kafka.Producer(
            {"bootstrap.servers": brokers, "message.timeout.ms": int(_FLUSH_S * 900), "log_level": 2}
        )

    def send(self, events: list[Event]) -> None:
        """All of them; ConnectionError where a broker didn't take one."""
        failed: list[str] = []

        def delivered(error: Any, _: Any) -> None:
            if error is not None:
                failed.append(str(error))

        for event in events:
            headers = [(f"ce_{name}", value.encode()) for name, value in event.attributes.items()]
            headers.append(("content-type", event.kind.encode()))
            key = event.attributes["id"].encode()
            self._producer.produce(self._topic, event.data, key, headers=headers, on_delivery=delivered)
        left = self._producer.flush(_FLUSH_S)
        if left or failed:
            self._producer.purge()
            self._producer.poll(0)
            raise ConnectionError(failed[0] if failed else f"{left} events weren't acknowledged")

    def close(self) -> None:
        """What is on its way has been waited for."""
