"""What loggers are told, kept, and what they are asked about."""

import orjson

from serve_app.config import parse
from serve_app.config.payloads import PayloadLogger
from serve_app.observability.payloads.events import event_of

V1 = {"instances": [[1, 2]]}
V2 = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}


class Kept:
    """In the place of a queue with threads behind it."""

    def __init__(self, name, config, own):
        self.name, self.config, self.waiting, self.records, self.alive = name, config, self, [], False
        self.full, self.away = False, 0
        self.asks, self.answers = config.mode != "response", config.mode != "request"

    def wants(self, model):
        return not self.config.models or model in self.config.models

    def offer(self, record):
        assert not self.full
        self.records.append(record)

    def turn_away(self, records):
        self.away += records

    def end(self, seconds):
        self.records = None

    def told(self):
        """Kind, id, model, version and JSON of each, and what else was said of it."""
        events = [event_of(one, self.config) for one in self.records]
        return [
            (one.kind, one.id, one.model, one.version, event.data and orjson.loads(event.data))
            for one, event in zip(self.records, events, strict=True)
        ]


def logger(log, **config):
    log.configure([parse(PayloadLogger, {"url": "http://sink/", **config})])
    return log.senders[0]


ANSWER = {"predictions": [{"y": [13.0, 23.0], "z": [1.0, 2.0]}]}
