"""Matplotlib's SVG made fit for a page: its style sheet, sizes and ids would reach beyond the plot."""

import re
from xml.etree import ElementTree

_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
# Matplotlib says this in a style sheet, which in a page would hold for everything.
_ROOT = f"font-family: {_FONTS}; stroke-linejoin: round; stroke-linecap: butt"
_HALO = "paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round"
_REFERENCE = re.compile(r"^#(.+)$|url\(#([^)]+)\)")
HALO = "halo"  # the id of what is to be legible on top of data begins with it


def inline(text: str, prefix: str, label: str) -> str:
    """An `<svg>` that takes the width it is given; ids that something refers to begin with `prefix`."""
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    used = {name for node in root.iter() for value in node.attrib.values() for name in _names(value)}
    for node in root.iter():
        halo = node.get("id", "").startswith(HALO)
        node.tag = _local(node.tag)
        node.attrib = {
            _local(key): _prefixed(_local(key), value, prefix)
            for key, value in node.attrib.items()
            if key != "id" or value in used
        }
        if node.tag == "text":
            node.set("style", _without_font(node.get("style", "")))
        if halo:
            node.set("style", _HALO)
    root.attrib = {
        "viewBox": root.get("viewBox", ""),
        "role": "img",
        "aria-label": label,
        "style": _ROOT,
    }
    for node in root.iter():
        node.tail = None
        node.text = node.text if node.tag == "text" else None
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    """In a page, SVG needs no namespaces, nor its links XLink."""
    return name.rpartition("}")[2]


def _names(value: str) -> list[str]:
    return [whole or part for whole, part in _REFERENCE.findall(value)]


def _prefixed(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return prefix + value
    if key == "href":
        return value.replace("#", f"#{prefix}", 1)
    if key == "d":
        return " ".join(value.split())
    return value.replace("url(#", f"url(#{prefix}")


def _without_font(style: str) -> str:
    """Sizes stay; the family is the page's, not the one that was measured with."""
    rules = [rule.strip() for rule in style.split(";") if not rule.strip().startswith("font-family")]
    return "; ".join(re.sub(r"^font: (?:.* )?([\d.]+px) .*$", r"font-size: \1", rule) for rule in rules)
