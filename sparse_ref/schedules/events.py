"""Events: the steps at which something is due."""

from dataclasses import dataclass

from sparse_ref.schedules.checks import check_positive_integer


@dataclass(frozen=True)
class Every:
    """An event at steps `start, start + n, start + 2n, ...`, all of them before `stop`.

    Without a `start` the first event is at step n; a training that stops by then has none.

    Reference
    ---------
    Evci et al. 2020 (RigL), Algorithm 1: `t mod ΔT == 0 and t < T_end` is `Every(ΔT, stop=T_end)`.

    Departures
    ----------
    RigL's TensorFlow code includes `stop` itself: give `stop + 1`. ITOP never stops, jaxpruner also
    counts step 0: `start=0`.

    Examples
    --------
    >>> [step for step in range(500) if Every(100, stop=400).due(step)]
    [100, 200, 300]
    """

    n: int  # ΔT, steps from one event to the next, >= 1
    start: int | None = None  # step of the first event, >= 0; None: n
    stop: int | None = None  # no event from this step on; None: events never end

    def __post_init__(self) -> None:
        check_positive_integer(self, "n")
        if self.start is not None and not self.start >= 0:
            raise ValueError(f"Every: start must be >= 0, got {self.start}")
        if self.start is not None and self.stop is not None and self.stop <= self.start:
            raise ValueError(
                f"Every: stop must be greater than start, got stop={self.stop}, start={self.start}"
            )

    def due(self, step: int) -> bool:
        """Whether the event happens at `step`."""
        before_stop = self.stop is None or step < self.stop
        return before_stop and step >= self._first and (step - self._first) % self.n == 0

    @property
    def _first(self) -> int:
        return self.n if self.start is None else self.start
