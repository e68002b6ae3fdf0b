"""How busy others kept the machine while something was measured."""

import os
import time
from pathlib import Path
from typing import NamedTuple

STAT = Path("/proc/stat")
IDLE = (3, 4)  # fields of its first line: idle, and waiting for a disk
NOTABLE = 0.05  # of the machine's time; more than a quiet system's own housekeeping


class Moment(NamedTuple):
    """Seconds of all processors together, since some time in the past."""

    total: float
    busy: float
    own: float  # of this process and the children that have ended


def moment(text: str | None = None) -> Moment | None:
    """What the system has counted so far; None where it does not tell.

    Parameters
    ----------
    text : str, optional
        Contents of ``/proc/stat``; read if omitted.
    """
    if text is None:
        if not STAT.exists():
            return None
        text = STAT.read_text(encoding="ascii")
    # user nice system idle iowait irq softirq steal; what follows is part of user and nice
    ticks = [int(field) for field in text.splitlines()[0].split()[1:9]]
    tick = os.sysconf("SC_CLK_TCK")
    idle = sum(ticks[k] for k in IDLE)
    used = os.times()
    own = used.user + used.system + used.children_user + used.children_system
    return Moment(sum(ticks) / tick, (sum(ticks) - idle) / tick, own)


def others(begin: Moment | None, end: Moment | None) -> float | None:
    """Fraction of all processors' time between two moments that went to others.

    Examples
    --------
    >>> others(Moment(100.0, 40.0, 10.0), Moment(120.0, 55.0, 20.0))
    0.25
    """
    if begin is None or end is None or end.total <= begin.total:
        return None
    used, own = end.busy - begin.busy, end.own - begin.own
    return max(0.0, used - own) / (end.total - begin.total)


def wait(seconds: float) -> float | None:
    """What others use while this process rests for `seconds`."""
    begin = moment()
    time.sleep(seconds)
    return others(begin, moment())
