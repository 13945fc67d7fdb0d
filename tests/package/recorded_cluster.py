"""`kubectl` on what a real API server answered, state by state (tests/package/recorded/states.json)."""

import itertools
import json
import re
import shlex
from pathlib import Path
from typing import Any

STATES: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "recorded/states.json").read_text()
)
_STEP = re.compile(r"\.(\w+)|\[\*\]|\[(\d+)\]|\[\?\(@\.(\w+)==\"([^\"]+)\"\)\]")


def jsonpath(text: str, data: Any) -> str:
    """`{.a.b[0]}` and its like, as kubectl prints it; KeyError for what isn't there."""

    def value(match: "re.Match[str]") -> str:
        found = [data]
        for key, at, name, wanted in _STEP.findall(match[1]):
            if key:
                found = [one[key] for one in found]
            elif at:
                found = [one[int(at)] for one in found]
            else:
                inner = [item for one in found for item in one]
                found = [item for item in inner if not name or item[name] == wanted]
        return " ".join(one if isinstance(one, str) else json.dumps(one) for one in found)

    return re.sub(r"\{([^{}]*)\}", value, text)


def merged(data: Any, patch: Any) -> Any:
    """A JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    kept = {key: value for key, value in (data or {}).items() if key not in patch}
    new = {
        key: merged((data or {}).get(key), value) for key, value in patch.items() if value is not None
    }
    return {**kept, **new}


class Cluster:
    """In one of the states; what is run changes variables and, for some, the state."""

    def __init__(self, state: str, then: dict[str, str] | None = None) -> None:
        self.state, self._then = state, then or {}
        self.variables: dict[str, str] = {}
        self.patched: list[dict[str, Any]] = []

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in STATES[self.state] if one["kind"].lower() == kind.removesuffix("s")]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = (one for one in self.all(kind) if one["metadata"]["name"] == name)
        return found

    def run(self, line: str) -> str:
        """A line of the documentation; its output."""
        if assigned := re.fullmatch(r"(\w+)=\$\((.*)\)", line):
            self.variables[assigned[1]] = self.run(assigned[2])
            return ""
        line = re.sub(
            r"\"?\$\((kubectl [^()]*(?:\([^()]*\)[^()]*)*)\)\"?", lambda m: self.run(m[1]), line
        )
        line = re.sub(r"\"\$(\w+)\"", lambda match: self.variables[match[1]], line)
        out = self._kubectl(shlex.split(line)[1:])
        for beginning, state in self._then.items():
            self.state = state if line.startswith(beginning) else self.state
        return out

    def _kubectl(self, words: list[str]) -> str:
        words = [word for at, word in enumerate(words) if word != "-n" and words[at - 1] != "-n"]
        verb, *rest = words
        return str(getattr(self, f"_{verb}", lambda *_: "")(*rest) or "")

    def _get(self, kind: str, *rest: str) -> str:
        name = rest[0] if rest and not rest[0].startswith("-") else ""
        flags = dict(itertools.pairwise(rest))
        label, _, value = flags.get("-l", "").partition("=")
        items = [
            one for one in self.all(kind) if not label or one["metadata"]["labels"].get(label) == value
        ]
        found = self.one(kind, name) if name else {"items": items}
        output = flags.get("-o", "")
        if output == "name":
            return "\n".join(f"{kind}/{one['metadata']['name']}" for one in found["items"])
        if "jsonpath=" in output:
            return jsonpath(output.removeprefix("jsonpath="), found)
        return "\n".join(one["metadata"]["name"] for one in found.get("items", [found]))

    def _wait(self, target: str, *rest: str) -> None:
        kind, _, name = target.partition("/")
        found = [self.one(kind, name)] if name else self.all(kind)
        assert found
        assert name or "--all" in rest
        (wanted,) = (word.removeprefix("--for=condition=") for word in rest if word.startswith("--for"))
        for one in found:
            conditions = {one["type"] for one in one["status"]["conditions"]}
            assert wanted.partition("=")[0] in conditions, f"{wanted}: none of {conditions}"
        assert any(word.startswith("--timeout=") for word in rest), "kubectl waits 30 s"

    def _delete(self, kind: str, *rest: str) -> None:
        if not kind.startswith("-"):
            name = rest[0]
            assert name, kind
            active = {
                one["status"]["activeServiceStatus"]["rayClusterName"] for one in self.all("rayservice")
            }
            assert name not in active, "the cluster that serves"

    def _patch(self, kind: str, name: str, *rest: str) -> None:
        patch = json.loads(rest[rest.index("-p") + 1])
        assert "--type=merge" in rest
        assert ("status" in patch) == ("--subresource=status" in rest)
        self.patched.append(merged(self.one(kind, name), patch))
