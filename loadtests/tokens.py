"""How many tokens a test brought, over all of its processes."""

from collections.abc import Sequence
from typing import Any

from locust.runners import MasterRunner, WorkerRunner


class Tokens:
    """Counts of this process. A worker hands its own to the master with each report of statistics."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._clear()
        runner, events = environment.runner, environment.events
        # Whenever Locust empties its statistics.
        events.test_start.add_listener(self._clear)
        events.reset_stats.add_listener(self._clear)
        if environment.reset_stats:
            events.spawning_complete.add_listener(self._clear)
        if isinstance(runner, WorkerRunner):
            events.report_to_master.add_listener(self._report)
        elif isinstance(runner, MasterRunner):
            events.worker_report.add_listener(self._hear)

    def count(self, tokens: int, times: Sequence[float], due: float) -> None:
        """One good answer: its tokens, and when its chunks came."""
        # The first chunk ends the wait: what comes after it comes at the rate of generation.
        self._add({"answers": 1, "tokens": tokens, "chunks": len(times)})
        seconds, later = times[-1] - times[0], tokens - 1
        self._add({"later": later, "seconds": seconds})
        options = self._environment.parsed_options
        quick = (times[0] - due) * 1000 <= options.slo_ttft
        if quick and seconds * 1000 <= options.slo_itl * later:
            self._add({"within": 1})

    def summary(self) -> str:
        """Two lines; '' without an answer."""
        stats, counts, good = self._environment.stats, self._counts, 0.0
        if not counts["answers"]:
            return ""
        line = (
            f"tokens: {counts['tokens']} in {counts['answers']} answers, "
            f"{counts['tokens'] / counts['chunks']:.2f} a chunk"
        )
        # The time that Locust's own requests per second are of.
        if (seconds := (stats.last_request_timestamp or 0) - stats.start_time) > 0:
            line += f"; {counts['tokens'] / seconds:.1f} a second together"
            good = counts["within"] / seconds
        if counts["seconds"] > 0:
            line += f", {counts['later'] / counts['seconds']:.1f} in one answer"
        return line + self._goodput(good)

    def _goodput(self, good: float) -> str:
        options, counts = self._environment.parsed_options, self._counts
        share = counts["within"] / counts["answers"]
        return (
            f"\ngoodput: {good:.2f} answers a second, {share:.0%} of all, had the first token within "
            f"{options.slo_ttft:g} ms and one every {options.slo_itl:g} ms after it"
        )

    def _clear(self, **_: Any) -> None:
        self._counts: dict[str, float] = dict.fromkeys(
            ("answers", "tokens", "chunks", "later", "seconds", "within"), 0
        )

    def _add(self, counts: dict[str, float]) -> None:
        for name, value in counts.items():
            self._counts[name] += value

    def _report(self, data: dict[str, Any], **_: Any) -> None:
        data["tokens"] = self._counts
        self._clear()

    def _hear(self, data: dict[str, Any], **_: Any) -> None:
        self._add(data.get("tokens", {}))
