"""Matplotlib's SVG made fit for a page: its style sheet, sizes and ids would reach beyond the plot."""

import re
from collections.abc import Mapping
from html import escape

_TAG = re.compile(r"<[^>]*>")  # in text and in attributes, matplotlib writes &gt;
_ID = re.compile(r'(?<= id=")|(?<= href="#)|(?<=url\(#)')
_COLOUR = re.compile(r"(?<=[\": ])#[0-9a-f]{6}\b")
_FAMILY = re.compile(r"font-family: [^;\"]*; ?")


def inline(text: str, prefix: str, label: str, colours: Mapping[str, str]) -> str:
    """An `<svg>` that takes the width it is given, and the page's fonts; ids begin with `prefix`.

    Each of the `colours` is the page's variable of that name, where it has one: another in the dark.
    """
    _, opening, body = re.split(r"(?s)(<svg[^>]*>)", text, maxsplit=1)
    body = re.sub(r"(?s)<style.*?</style>|<metadata>.*?</metadata>", "", body)
    body = re.sub(r">\n\s*", ">", _TAG.sub(lambda tag: _tag(tag[0], prefix, colours), body))
    box = re.search(r'viewBox="[^"]*"', opening)
    return f'<svg {box[0] if box else ""} role="img" aria-label="{escape(label)}">{body.strip()}'


def _tag(tag: str, prefix: str, colours: Mapping[str, str]) -> str:
    def named(found: re.Match[str]) -> str:
        name = colours.get(found[0])
        return f"var(--{name}, {found[0]})" if name else found[0]

    if tag.startswith("<g "):  # nothing refers to a group
        tag = re.sub(r' id="[^"]*"', "", tag)
    # The family is the page's, not the one that was measured with.
    tag = _FAMILY.sub("", " ".join(tag.split())).replace("xlink:", "")
    return _COLOUR.sub(named, _ID.sub(prefix, tag))
