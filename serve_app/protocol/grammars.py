"""Whether a grammar in EBNF (`root ::= "a" root | "b"`) has any text that ends."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*
    |(?P<text>"(?:[^"\\\n]|\\.)*"|\[(?:[^\]\\\n]|\\.)*\])
    |(?P<rule>[A-Za-z_][\w.-]*)(?=\s*::=)|(?P<is>::=)|(?P<name>[A-Za-z_][\w.-]*)
    |(?P<sign>[()|*+?])|\{\s*(?P<least>\d*)\s*(?:,\s*\d*\s*)?\}""",
    re.VERBOSE,
)
_MOST, _MOST_RULES = 4000, 100  # characters; a larger one is the engine's to try
_ROOT = "root"

# Of a rule: whether this one ends, or a rule's name, or a sign.
_Parts = list[bool | str]


def endless(grammar: str) -> str:
    """The rule that no text fits, because it always needs itself; '' where none is known to."""
    rules: dict[str, _Parts] = {}
    current: _Parts = []
    for kind, text in _tokens(grammar):
        if kind is None or (kind == "rule" and (text in rules or len(rules) == _MOST_RULES)):
            return ""  # not understood, or too large
        if kind == "rule":
            current = rules[text] = []
        elif kind == "text":
            current.append(True)
        elif kind == "least":
            current.append("+" if text.strip("0") else "?")
        elif kind != "is":
            current.append(f"<{text}>" if kind == "name" else text)
    ending: set[str] = set()
    while more := {name for name in rules.keys() - ending if _ends(rules[name], ending)}:
        ending |= more
    named = {str(token)[1:-1] for tokens in rules.values() for token in tokens if _is_name(token)}
    return _ROOT if _ROOT in rules and _ROOT not in ending and named <= rules.keys() else ""


def _is_name(token: bool | str) -> bool:
    return isinstance(token, str) and token.startswith("<")


def _tokens(grammar: str) -> Iterator[tuple[str | None, str]]:
    at = 0
    while at < len(grammar):
        found = _TOKEN.match(grammar, at) if len(grammar) <= _MOST else None
        if found is None:
            yield None, ""
            return
        if found.lastgroup:
            yield found.lastgroup, found[found.lastgroup]
        at = found.end()


def _ends(parts: _Parts, ending: set[str]) -> bool:
    """Whether some text of this rule ends, when those of the rules `ending` do."""
    groups: list[tuple[bool, bool]] = []
    some, all_before, last = False, True, True  # of the choices, of this one's parts, the last part
    for part in parts:
        if part == "(":
            groups.append((some, all_before and last))
            some, all_before, last = False, True, True
        elif part == ")":
            if not groups:
                return True  # not a grammar
            inner = some or (all_before and last)
            some, all_before = groups.pop()
            last = inner
        elif part == "|":
            some, all_before, last = some or (all_before and last), True, True
        elif part in ("*", "?"):
            last = True
        elif part != "+":
            all_before, last = all_before and last, part is True or str(part)[1:-1] in ending
    return some or (all_before and last)
