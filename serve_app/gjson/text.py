"""Where a GJSON path's parts begin and end."""

_CLOSES = {"(": ")", "[": "]", "{": "}"}


class Malformed(ValueError):
    """What a path can't be."""


def pieces(text: str, separator: str) -> list[str]:
    """`text` between separators that stand outside of brackets and quotes."""
    found, start, at = [], 0, 0
    while at < len(text):
        letter = text[at]
        if letter == separator:
            found.append(text[start:at])
            start = at = at + 1
        else:
            at = after(text, at)
    return [*found, text[start:]]


def after(text: str, at: int) -> int:
    """Where goes on what follows a letter, an escaped one, a string or a bracket with all in it."""
    letter = text[at]
    if letter == "\\":
        return at + 2
    if letter == '"':
        return _quoted(text, at)
    return balanced(text, at) if letter in _CLOSES else at + 1


def balanced(text: str, at: int) -> int:
    """Behind the bracket that closes the one at `at`."""
    close, begin = _CLOSES[text[at]], at
    at += 1
    while at < len(text):
        if text[at] == close:
            return at + 1
        at = after(text, at)
    raise Malformed(f"the {text[begin]} at {begin + 1} isn't closed")


def _quoted(text: str, at: int) -> int:
    begin = at
    at += 1
    while at < len(text):
        if text[at] == '"':
            return at + 1
        at += 2 if text[at] == "\\" else 1
    raise Malformed(f"the quote at {begin + 1} isn't closed")
