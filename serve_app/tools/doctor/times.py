"""When something was, and how long ago."""

from datetime import UTC, datetime, timedelta

# Longer than API servers keep events (an hour by default): answers whose youngest event is older
# than that come from a recording, or from a cluster with another clock.
_EVENTS_LIVE = timedelta(hours=4)


def moment(text: str) -> datetime | None:
    """Of a timestamp of Kubernetes'."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def seconds(since: str, until: str | datetime) -> float | None:
    """From one to the other, None where one of them isn't known."""
    first = moment(since)
    last = moment(until) if isinstance(until, str) else until
    return (last - first).total_seconds() if first and last else None


def told(since: str, now: datetime) -> str:
    """`2026-11-28T20:39:46Z (5 s ago)`."""
    age = seconds(since, now)
    return since if age is None else f"{_short(since)} ({length(age)} ago)"


def length(age: float) -> str:
    """Seconds as a person says them."""
    age = max(age, 0)
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if age >= 2 * size:
            return f"{age / size:.0f} {unit}"
    return f"{age:.0f} s"


def clock(here: datetime, youngest: str, events: str) -> datetime:
    """The cluster's now: this machine's, or of answers from another time the youngest moment in them."""
    last, event = moment(youngest), moment(events)
    if last and event and (here - event > _EVENTS_LIVE or here < event):
        return last
    return here


def _short(since: str) -> str:
    found = moment(since)
    return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if found else since
