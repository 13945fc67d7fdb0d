"""How many threads of OpenMP and BLAS a prediction may start, so as not to stand in others' way."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

from serve_app.runtimes.base import need


class Limit:
    """So many threads; 0 leaves it to the libraries. OpenMP's number is a thread's own: each thread that
    predicts is told once.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._told = threading.local()
        self._controller: Any = None
        if threads:
            self._controller = need("threadpoolctl", "sklearn").ThreadpoolController()

    def applied(self, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """`method` within the limit."""
        if not self._threads:
            return method

        @wraps(method)
        def limited(rows: Any) -> Any:
            if not hasattr(self._told, "limit"):
                self._told.limit = self._controller.limit(limits=self._threads)
            return method(rows)

        return limited
