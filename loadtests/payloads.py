"""What is asked of the demo models, and how to tell a right answer from a wrong one.

A sample is new for each request, so an answer that belongs to another one of its batch is noticed.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]

# Held-out handwritten digits 0 to 9, 8 x 8 pixels, one hexadecimal-like letter (0 to g = 16) each.
DIGITS = (
    "002ed30000dd9b0000g70c0003g50a5005g1085003g10a5000g85e30004gg910",
    "0000be300002gg20000bge00003ggf0001dggd0006g9fd000000cg1000009e10",
    "007ge300009ebf0000150f5000000g5000003g400001ce10005cgge1008gead3",
    "009ga1000083g4000005e200002gf70000003f2004600d7006d15g3000agf500",
    "000a9000005f009500ea07g405g75g600bggge00034bg8000007g200000cc000",
    "005gg300009g700000cf200001fgf400009dg9000000ec00005cg800003ff100",
    "003b000000cb000001e1000002f0000004ffgf2001g848b001gb7ac0005acf70",
    "002dg90000cc7g3001e30g400004ag60000dgg900005d100000b9000001g4000",
    "0003ca00001e6f00000g6a00000eg200003ef30001g49900004d47800003abf2",
    "008ga20000cdeb0000ad8g20004ffg8000038bd0000005g4001227g5003eggb1",
)
PIXELS = np.array([[int(level, 17) for level in digit] for digit in DIGITS], dtype=np.float32)
_ROWS = 4  # digits per request, at most

SENTENCES = (
    "The parcel arrived two days late and the box was torn at one corner.",
    "I'd like to move my appointment from Tuesday to any morning next week.",
    "Where do I find the serial number?",
    "Great value, and the battery lasts through a full working day with the screen at its brightest.",
    "After the update the app closes by itself whenever I open the calendar.",
    "Thanks!",
    "Please cancel my subscription at the end of this month and confirm it in writing.",
    "The hotel was quiet, the breakfast was generous, and the staff went out of their way to help us.",
    "Can two people share one account, or does each of us need a licence?",
    "The committee postponed its decision on the new bridge until the environmental report is complete.",
    "¿Hay alguna tienda en el centro que abra los domingos?",
    "Preheat the oven to 180 °C, butter the tin, and whisk the eggs with the sugar until they are pale.",
)
# In the prompt of an LLM at most: 128 more tokens still fit into the demo model's context.
PROMPT_SENTENCES = 8
_EMBEDDING = 384
_SAME = 1e-3  # a text's vectors differ by rounding alone, whatever it was batched with


class WrongAnswer(Exception):
    """The server answered, but not what was asked. Few texts: locust counts failures by text."""


@dataclass(frozen=True)
class Sample:
    """One request: FP32 or BYTES inputs for `model`, and a check that raises WrongAnswer.

    `outputs` are the types that an answer without any (V1) has to be read as.
    """

    model: str
    inputs: Arrays
    outputs: dict[str, type[np.generic]]
    check: Callable[[Arrays], None]


def identity() -> Sample:
    """FP32 [1, 4] that must come back bit for bit."""
    sent = np.array([[random.uniform(-1e3, 1e3) for _ in range(4)]], dtype=np.float32)

    def check(outputs: Arrays) -> None:
        got = outputs.get("x")
        if got is None or got.dtype != sent.dtype or not np.array_equal(got, sent):
            raise WrongAnswer("the answer is not what was sent")

    return Sample("identity", {"x": sent}, {"x": np.float32}, check)


def digits(model: str) -> Sample:
    """One to four handwritten digits that must be recognised."""
    asked = np.array(random.sample(range(10), random.randint(1, _ROWS)))

    def check(outputs: Arrays) -> None:
        got = outputs.get("label")
        if got is None or not np.array_equal(got, asked):
            raise WrongAnswer("a digit was not recognised")
        odds = outputs.get("probabilities")
        if odds is None or odds.dtype != np.float32 or odds.shape != (len(asked), 10):
            raise WrongAnswer("no probabilities, FP32 [n, 10]")

    outputs: dict[str, type[np.generic]] = {"label": np.int64, "probabilities": np.float32}
    return Sample(model, {"pixels": PIXELS[asked]}, outputs, check)


def sentences() -> Sample:
    """A text of one to ten sentences (1 to about 140 words, most of them short), to embed."""
    text = random.choice(TEXTS)

    def check(outputs: Arrays) -> None:
        got = outputs.get("embedding")
        if got is None or got.dtype != np.float32 or got.shape != (1, _EMBEDDING):
            raise WrongAnswer(f"no embedding, FP32 [1, {_EMBEDDING}]")
        if not abs(float(np.linalg.norm(got)) - 1) < _SAME:
            raise WrongAnswer("the embedding's length is not 1")
        if not np.abs(_seen.setdefault(text, got) - got).max() < _SAME:
            raise WrongAnswer("another embedding than before for the same text")

    inputs = {"text": np.array([text.encode()], dtype=object)}
    return Sample("sentences", inputs, {"embedding": np.float32}, check)


def _texts(count: int) -> list[str]:
    chance = random.Random(17)  # the same texts in every process
    lengths = [min(1 + int(chance.expovariate(0.6)), 10) for _ in range(count)]
    return [" ".join(chance.sample(SENTENCES, length)) for length in lengths]


TEXTS = _texts(64)
_seen: dict[str, np.ndarray] = {}
