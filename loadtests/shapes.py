"""Load that changes over time, for any locustfile: `--shape spike,rate=50` or `--trace FILE`.

A profile is requests per second with `--open-loop`, and a number of users without.
"""

from pathlib import Path
from typing import Any

from locust import LoadTestShape, events

from loadtests import arrivals, traces
from loadtests.arrivals import Profile
from loadtests.open_loop import OpenLoop

_LAST_ANSWERS_S = 60
_USERS = 64  # connections of an open loop, unless told otherwise


class _OverTime(LoadTestShape):  # type: ignore[misc]
    """Users by a profile, or as many as were asked for until an open loop is through."""

    def __init__(self, runner: Any, profile: Profile | None, loop: OpenLoop | None, last: float) -> None:
        super().__init__()
        self.runner = runner
        self._profile, self._loop, self._last = profile, loop, last

    def tick(self) -> tuple[int, float] | None:
        """Locust asks once a second."""
        now = self.get_run_time()
        if self._loop is not None:
            late = now > self._last + _LAST_ANSWERS_S
            if now > self._last and (late or not self._loop.left):
                return None
            users = self.runner.environment.parsed_options.num_users or _USERS
            return users, users
        assert self._profile is not None
        if now >= self._last:
            return None
        users = round(self._profile.at(now))
        return users, max(users, 1)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: Any, **_: Any) -> None:
    group = parser.add_argument_group("Load over time")
    shapes = ", ".join(arrivals.SHAPES)
    group.add_argument("--shape", help=f"SHAPE,key=number,...; shapes: {shapes}", default="")
    group.add_argument(
        "--open-loop", choices=["poisson", "constant"], help="arrivals of the profile's rate"
    )
    group.add_argument("--trace", help="replay the arrivals of this file, in an open loop", default="")
    group.add_argument("--speed", type=float, default=1, help="how many times as fast to replay it")
    group.add_argument("--seed", type=int, default=7, help="of Poisson arrivals")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Any, **_: Any) -> None:
    options = environment.parsed_options
    if options is None or not (options.shape or options.trace or options.open_loop):
        return
    profile, loop = None, None
    try:
        if options.trace:
            if options.shape or options.speed <= 0:
                raise ValueError("--trace takes no --shape, and a --speed above 0")
            times = traces.read(Path(options.trace)).at_speed(options.speed).times
            loop, last = OpenLoop(environment, times), float(times[-1])
        elif not options.shape:
            raise ValueError("--open-loop needs a --shape, as in --shape constant,rate=50")
        else:
            profile = arrivals.parse(options.shape)
            last = profile.duration
            if options.open_loop:
                times = profile.arrivals(options.open_loop, options.seed)
                loop = OpenLoop(environment, times)
    except (ValueError, OSError, traces.TraceError) as error:
        raise SystemExit(str(error)) from None
    environment.shape_class = _OverTime(environment.runner, profile, loop, last)
    if loop is not None and not options.worker:
        say = loop.summary
        environment.events.quit.add_listener(lambda **_: print("\n".join(say())))
