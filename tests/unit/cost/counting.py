"""What Python does for a request, counted in bytecode instructions: the same on every machine."""

import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

_ROOT = Path(__file__).parents[3]
_OURS, _TESTS = f"{_ROOT}/serve_app/", f"{_ROOT}/tests/"


class Instructions:
    """While it is entered: `ours` are those of `serve_app`, `all` have what it calls, and uvicorn and
    asyncio around it. Not what is written in C, and nothing of the tests.
    """

    def __init__(self) -> None:
        self.ours = self.all = 0
        self._before: Any = None

    def __enter__(self) -> "Instructions":
        self._before = sys.gettrace()  # coverage's
        sys.settrace(self._entered)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.settrace(self._before)

    def _entered(self, frame: FrameType, event: str, argument: object) -> Any:
        file = frame.f_code.co_filename
        if file.startswith(_TESTS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._in_ours if file.startswith(_OURS) else self._elsewhere

    def _in_ours(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "opcode":
            self.ours += 1
            self.all += 1
        return self._in_ours

    def _elsewhere(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "opcode":
            self.all += 1
        return self._elsewhere
