"""A transformer whose functions return when a test lets them."""

import threading
from typing import Any, ClassVar


class Held:
    """`where` of the headers names the function that waits until `gate` opens."""

    gate: ClassVar[threading.Event] = threading.Event()
    waited: ClassVar[int] = 0  # how often one of them has begun to wait

    def preprocess(self, payload: Any, headers: dict[str, str]) -> Any:
        return self._held(payload, headers, "preprocess")

    def postprocess(self, result: Any, headers: dict[str, str]) -> Any:
        return self._held(result, headers, "postprocess")

    def _held(self, payload: Any, headers: dict[str, str], name: str) -> Any:
        if headers.get("where") == name:
            Held.waited += 1
            self.gate.wait()
        return payload
