"""Credentials taken out of what is said: to clients, in logs, on a terminal.

Addresses have them as `user:password@` and in what follows a `?`, as signed addresses do; other texts
as `password=…`. Importing this puts a filter before the `tandem` logger: nobody can forget it.
"""

import logging
import re
import traceback

_HIDDEN = "***"
# Numbers of characters are bounded, so that no text takes longer than its length.
_RULES = (
    # https://user:password@host; a password may have an @ or a / that should have been escaped.
    (re.compile(r"(?<=://)(?:[^\s/@'\"]{0,200}:[^\s'\"<>]{0,500}|[^\s/'\"]{0,500})@"), f"{_HIDDEN}@"),
    (re.compile(r"(?<![^\s/'\"=(])[\w.%+~-]{1,100}:[^\s/'\"@<>;]{1,200}@"), f"{_HIDDEN}@"),
    # A signed address, and a token after a #.
    (re.compile(r"(://[^\s'\"?#]{0,500}[?#])[^\s'\"]+"), rf"\1{_HIDDEN}"),
    (
        re.compile(
            r"(?i)((?:password|passwd|pwd|secret|(?<![a-z0-9])token|[a-z]token|signature|credential"
            r"|(?:api|access|account|shared|private)[-_]?key|(?<![a-z])sig)['\"]?=)['\"]?[^\s&;,'\")]+"
        ),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"(?i)(authorization['\"]?\s?[:=]\s?['\"]?[a-z]+ )[^\s'\",]+"), rf"\1{_HIDDEN}"),
)


def redacted(text: str) -> str:
    """The text without the credentials that it may hold."""
    for pattern, put in _RULES:
        text = pattern.sub(put, text)
    return text


class Redacting(logging.Filter):
    """Takes them out of whatever goes through a logger, tracebacks too."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always: what is logged is changed, not dropped."""
        record.msg, record.args = redacted(record.getMessage()), ()
        if record.exc_info and record.exc_info[0] and not record.exc_text:
            lines = traceback.format_exception(*record.exc_info)
            record.exc_text = redacted("".join(lines).rstrip("\n"))  # what every formatter then shows
        return True


logging.getLogger("tandem").addFilter(Redacting())
