"""The classes of docs/python-class.md, run as they stand."""

import asyncio
import io
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from serve_app.config import InlineModel, parse
from serve_app.errors import InvalidArgument
from serve_app.runtimes.host import ModelHost

PAGE = (Path(__file__).parents[3] / "docs/python-class.md").read_text()
CLASSES = {
    "lengths": "class Lengths:\n    def predict",
    "declared": "class Lengths:\n    inputs",
    "brightness": "class Brightness:",
}


def code(name: str) -> str:
    """The page's program with that class."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    return next(block for block in blocks if CLASSES[name] in block)


def host(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> ModelHost:
    module = types.ModuleType(f"page_{name}")
    exec(text, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    (kind,) = re.findall(r"^class (\w+)", text, re.M)
    config = {"name": name, "modelFormat": "python", "class": f"{module.__name__}:{kind}"}
    made = ModelHost(parse(InlineModel, {**config, "warmUp": name != "brightness"}))  # as it says
    made.load()
    return made


def asked(made: ModelHost, **inputs: Any) -> dict[str, np.ndarray]:
    try:
        return asyncio.run(made.predict("1", inputs, {}))
    finally:
        made.close()


def test_the_first_class(monkeypatch: pytest.MonkeyPatch) -> None:
    made = host("lengths", code("lengths"), monkeypatch)
    texts = np.array([b"a", "späße".encode()], dtype=object)
    assert asked(made, text=texts)["length"].tolist() == [1, 5]


def test_declared_inputs_and_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first class's `predict`, as the page means it."""
    predict = code("lengths").partition("class Lengths:\n")[2]
    text = "import numpy as np\n" + code("declared") + "\n" + predict
    made = host("declared", text, monkeypatch)
    signature = made.versions["1"].signature
    assert [spec.name for spec in signature.inputs] == ["text"]
    assert asked(made, text=np.array([b"tandem"], dtype=object))["length"].tolist() == [6]


def test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    PIL.Image.fromarray(np.full((4, 5), 200, dtype=np.uint8)).save(file, "PNG")
    made = host("brightness", code("brightness"), monkeypatch)
    answer = asked(made, file=np.array([file.getvalue()], dtype=object))
    assert answer["brightness"].tolist() == [200]


def test_what_is_no_image_is_the_client_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    made = host("brightness", code("brightness"), monkeypatch)
    with pytest.raises(InvalidArgument, match="expected an image"):
        asked(made, file=np.array([b"no image"], dtype=object))
