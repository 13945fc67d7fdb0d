"""What models of rows and columns take, whichever form it comes in. Plain data: it crosses actors.

scikit-learn, XGBoost and LightGBM take a matrix with a column for each feature, or named columns of
different types. Clients of KServe and MLServer send either, under any name.
"""

from dataclasses import dataclass
from typing import Literal

MATRIX = "input-0"  # the name that KServe's examples give it
Kind = Literal["number", "text", "any"]


@dataclass(frozen=True, slots=True)
class Column:
    """A feature. `optional`: it may be left out, and is missing in all rows then."""

    name: str
    kind: Kind = "number"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` in the model's order; none where it says neither names nor how many there are.

    `named`: whether the columns' names are the model's own. `frame`: whether the model has to be told
    them, so that it gets an array for each; else it gets one matrix. `texts`: a row is one text.
    """

    columns: tuple[Column, ...] = ()
    named: bool = False
    frame: bool = False
    texts: bool = False

    @property
    def width(self) -> int:
        """How many columns there are; -1 where nobody knows."""
        return len(self.columns) or -1
