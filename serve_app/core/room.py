"""How many requests may be here at once, shared out among the models."""


class Room:
    """`most` requests in all, `taken` now.

    One model may have as many as are free besides: alone it has half of them, beside another that asks
    for too much a third, and so on. So whoever comes anew finds room, without anything set aside.
    """

    __slots__ = ("most", "taken")

    def __init__(self, most: int = 4096) -> None:
        self.most, self.taken = most, 0

    def full(self, own: int) -> bool:
        """Whether a model that has `own` may have no more."""
        return own >= self.most - self.taken
