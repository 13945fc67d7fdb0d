"""Schedules, durations and time zones, as the operator reads them: robfig/cron's standard form, Go's."""

import re
from zoneinfo import ZoneInfo, available_timezones

# The fields of a schedule: least, most, names (cron's standard form, as robfig/cron reads it).
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[int, int, list[str]], ...] = (
    (0, 59, []), (0, 23, []), (1, 31, []), (1, 12, _MONTHS), (0, 6, _DAYS),
)  # fmt: skip
_EVERY = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_DURATION = r"[-+]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+"


def positive(duration: str) -> bool:
    """Whether it is one in Go's form, longer than nothing."""
    whole = re.fullmatch(_DURATION, duration)
    return bool(whole) and not duration.startswith("-") and bool(re.search("[1-9]", duration))


def broken(text: str) -> str:
    """The schedule, if it is none."""
    text = text.strip()
    if text in _EVERY or (text.startswith("@every ") and re.fullmatch(_DURATION, text[7:].strip())):
        return ""
    fields = text.lower().split()
    right = len(fields) == len(_FIELDS) and all(
        _range(part, *known)
        for field, known in zip(fields, _FIELDS, strict=True)
        for part in field.split(",")
    )
    return "" if right else text or "nothing"


def _range(text: str, least: int, most: int, names: list[str]) -> bool:
    span, _, step = text.partition("/")
    if "/" in text and not (step.isdecimal() and int(step) > 0):
        return False
    if span in ("*", "?"):
        return True
    ends = [str(names.index(one) + least) if one in names else one for one in span.split("-")]
    if len(ends) > 2 or not all(one.isdecimal() and least <= int(one) <= most for one in ends):
        return False
    return int(ends[0]) <= int(ends[-1])


def no_zone(name: str) -> bool:
    """Whether no time zone is called so; not where this machine knows none."""
    try:
        ZoneInfo(name)
    except Exception:  # none of that name, or no name of a file
        return name != "Local" and bool(available_timezones())
    return False
