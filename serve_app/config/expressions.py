"""Arithmetic over a service's own metrics, as in `request_errors / request_count`."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache

from serve_app.config.base import did_you_mean

# Per model and version, each the growth since the look before; names as the metrics have them.
MEASURES = (
    "compared", "differed", "model_batch_size_count", "model_batch_size_sum",
    "model_inference_seconds_count", "model_inference_seconds_sum", "request_count", "request_errors",
    "request_predict_seconds_count", "request_predict_seconds_sum", "request_queue_seconds_count",
    "request_queue_seconds_sum",
)  # fmt: skip
_TWO: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_CALLS: dict[str, Callable[..., float]] = {"min": min, "max": max}
_LONGEST = 1000
_EXAMPLE = "as in request_queue_seconds_sum / request_queue_seconds_count"


def names(text: str) -> set[str]:
    """The metrics that it is made of; ValueError says what can't stand there."""
    found = {node.id for node in ast.walk(_read(text)) if isinstance(node, ast.Name)} - set(_CALLS)
    for name in sorted(found.difference(MEASURES)):
        raise ValueError(f"no metric '{name}'{did_you_mean(name, MEASURES)}")
    if not found:
        raise ValueError(f"no metric in {text!r}: expected some, {_EXAMPLE}")
    return found


def value(text: str, measured: Mapping[str, float]) -> float:
    """What it comes to; NaN where it can't be had: nothing to divide by, too large. What wasn't measured
    is 0.
    """
    try:
        return float(_value(_read(text), measured))
    except (ZeroDivisionError, OverflowError):
        return math.nan


@lru_cache(maxsize=256)
def _read(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise ValueError(f"an expression of {len(text):,} characters; at most {_LONGEST:,}")
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval").body
        _check(tree)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"not an expression: {text!r}; expected arithmetic, {_EXAMPLE}") from error
    return tree


def _check(node: ast.expr) -> None:
    match node:
        case ast.Name():
            return
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return
        case ast.UnaryOp(op=ast.USub()):
            return _check(node.operand)
        case ast.BinOp() if type(node.op) in _TWO:
            _check(node.left)
            return _check(node.right)
        case ast.Call(func=ast.Name(id=name), args=[_, *_], keywords=[]) if name in _CALLS:
            for one in node.args:
                _check(one)
            return
    raise ValueError(
        f"'{ast.unparse(node)}' can't stand in an expression: expected names of metrics, numbers, "
        "+ - * /, brackets, min(…) and max(…)"
    )


def _value(node: ast.expr, measured: Mapping[str, float]) -> float:
    match node:
        case ast.Name(id=name):
            return measured.get(name, 0.0)
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(operand=inner):
            return -_value(inner, measured)
        case ast.BinOp(left=left, op=op, right=right):
            return _TWO[type(op)](_value(left, measured), _value(right, measured))
        case ast.Call(func=ast.Name(id=name), args=args):
            several = [_value(one, measured) for one in args]
            return several[0] if len(several) == 1 else _CALLS[name](several)
    raise AssertionError(ast.dump(node))  # checked when it was read
