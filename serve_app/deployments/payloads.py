"""A Router's payload loggers, which are there while its configuration has some."""

from serve_app.config import RouterUserConfig
from serve_app.ingress.rest import RestApp
from serve_app.observability.payloads.log import PayloadLog
from serve_app.observability.payloads.metrics import PayloadMetrics

CLOSE_S = 2.0


class Payloads:
    """Of one Router, whose name is `own`."""

    def __init__(self, rest: RestApp, own: str) -> None:
        self._rest, self._own = rest, own
        self._log: PayloadLog | None = None

    def configure(self, config: RouterUserConfig) -> tuple[PayloadLog, ...]:
        """Have the loggers of this configuration; what observes requests for them, if there are any."""
        if self._log is None:
            if not config.payloads:
                return ()
            self._log = PayloadLog(self._own)
            PayloadMetrics(self._log)
        self._log.configure(config.payloads)
        self._rest.heard_by(self._log if config.payloads else None)
        return (self._log,) if config.payloads else ()

    def close(self) -> None:
        """This Router ends: what waits is sent, so far as that is quickly done."""
        if self._log is not None:
            self._log.close(CLOSE_S)
