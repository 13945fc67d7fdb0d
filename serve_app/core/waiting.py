"""How long one more request would wait for its turn, and whether that is too long.

Two things are learned while requests are answered. The *pace*: the time from one start of work to the
next while others wait, and how much each takes up; what is ahead divided by it is the wait. And the
*patience* of clients whose time limits nobody tells: where most leave before they get their turn, no
more are let in than have it in half of that time.

A queue that is empty has no wait, whatever was learned: a model that was slow, or idle, is asked again.
"""

_SHARE = 1 / 32  # of the last sample in the mean
_OUTLIER = 8.0  # times the mean: one that hangs says nothing about the next
_FEW = 2.0  # so many samples' worth of doubt: the first ones count less
_FORGET_S = 10.0  # without a sample, and two usual gaps more
_ENDS = 32  # of requests, until it is asked whether most of them left
# A client that is killed leaves with all of its requests at once, which says nothing of its patience. So
# requests are counted from one who leaves to the next who does so at least _MOMENT_S later, and however
# many have ended by then, they have _VOTES of the _ENDS, in the shares of those who left and who stayed.
_MOMENT_S, _VOTES = 0.5, 12
_RECOVER = 80.0  # patience doubles in so many times itself
_NEVER = float("-inf")
HALF = 0.5  # of a request's time may go by until its turn; the rest is for that, and for error


class Waiting:
    """Of one queue, whose keeper says what is `ahead` of the next one (rows, requests), and whether all
    that computes has been `busy` since the `last` turn.
    """

    __slots__ = (
        "_amount", "_changed", "_gap", "_known", "_leaves", "_left", "_moment", "_patience",
        "_period", "_sampled", "_stayed", "_stays", "ahead", "busy", "last",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ahead, self.busy = 0, False
        self._gap = self._amount = 0.0  # means, of seconds and of rows
        self._known = 0  # samples
        self._period = False  # the last turn was a sample, and all has been busy since
        self.last = self._sampled = _NEVER
        self._leaves = self._stays = 0  # of this moment
        self._left = self._stayed = 0.0  # of those before
        self._moment = _NEVER
        self._patience, self._changed = float("inf"), _NEVER

    def took(self, amount: int, now: float, full: bool = True) -> None:
        """So much got its turn; `full`: more wouldn't have fitted."""
        self._period = self.busy
        if self.busy and full and self.last > _NEVER:
            self._learn(now - self.last, amount, now)
        self.last = now

    def free(self) -> None:
        """Something that computes has nothing to do."""
        self.busy = self._period = False

    def _learn(self, gap: float, amount: int, now: float) -> None:
        if now - gap - self._sampled > _FORGET_S + 2 * self._gap:
            self._known = 0
        self._known += 1
        if self._known > _ENDS:
            gap = min(gap, _OUTLIER * self._gap)
        share = max(1 / self._known, _SHARE)
        self._gap += (gap - self._gap) * share
        self._amount += (amount - self._amount) * share
        self._sampled = now

    def expected(self, now: float) -> float:
        """Seconds until what is ahead has had its turn; 0 while nothing is known."""
        known = self._known
        if self.ahead <= 0 or not known:
            return 0.0
        gap, silent = self._gap, now - self.last
        if now - self._sampled > _FORGET_S + 2 * gap and not self._period:
            return 0.0
        if self._period and silent > gap:  # as though it ended now; a period's first may be a cold start
            gap += (silent - gap) * _SHARE
        return self.ahead / max(self._amount, 1e-9) * gap * known / (known + _FEW)

    def too_long(self, seconds: float, now: float) -> float:
        """The wait that is expected, where that is too long for a request with `seconds`; else 0."""
        expected = self.expected(now)
        if expected <= min(seconds * HALF, self.patience(now)):
            return 0.0
        return expected

    def patience(self, now: float) -> float:
        """Seconds that clients may be made to wait, so far as they have shown it."""
        known = self._patience
        if known == float("inf"):
            return known
        return float(known * 2 ** min((now - self._changed) / (_RECOVER * known), 64.0))

    def stayed(self) -> None:
        """One more got an answer, whatever it says."""
        self._stays += 1

    def left(self, seconds: float, now: float) -> None:
        """One more left without an answer, after so long."""
        if now - seconds <= self._changed:
            return  # it came before the last change, which it can't have felt
        if now - self._moment > _MOMENT_S:
            self._count(now - self._moment < _FORGET_S + 2 * seconds)
            self._moment = now
        self._leaves += 1
        if self._left + self._stayed < _ENDS:
            return
        if self._left > self._stayed:
            self._patience = max(min(self.patience(now), seconds * HALF), 1e-3)
            self._changed = now
        self._left = self._stayed = 0.0

    def _count(self, lately: bool) -> None:
        """Those who ended since the last moment, unless that was long ago."""
        if lately:
            ends = self._leaves + self._stays
            share = min(ends, _VOTES) / ends
            self._left += self._leaves * share
            self._stayed += self._stays * share
        else:
            self._left = self._stayed = 0.0
        self._leaves = self._stays = 0
