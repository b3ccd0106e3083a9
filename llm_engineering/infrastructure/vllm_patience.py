"""How long is waited for what, where a vLLM server is kept."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """When what is done. The defaults suit real servers; tests are in a hurry."""

    start_s: float = 900.0
    """Longest start."""
    deaths: int = 5
    """Quick ones in a row before it is given up."""
    quick_s: float = 120.0
    """A server that lived longer has started well: what ended it is something new."""
    first_wait_s: float = 1.0
    """Before the second start in a row; doubled each time."""
    longest_wait_s: float = 60.0
    look_s: float = 0.1
    """Between two looks around."""
    promotion_s: float = 1.0
    """Between two looks at what is in production."""
    linger_s: float = 10.0
    """How long a version that was replaced can still be named."""


class Starts:
    """How many starts in a row came to nothing, and when the next one is due."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._due = 0.0
        self.deaths = 0

    @property
    def waits_s(self) -> float:
        """Until the next start is due."""
        return max(0.0, self._due - time.monotonic())

    def anew(self) -> None:
        """For something else to be started."""
        self.deaths, self._due = 0, 0.0

    def ended(self, lived_s: float) -> bool:
        """What was started lived so long; whether there may be another start."""
        self.deaths = self.deaths + 1 if lived_s < self._patience.quick_s else 1
        self._due = time.monotonic() + self._pause_s()
        return self.deaths < self._patience.deaths

    def _pause_s(self) -> float:
        """None before the first start after a long life."""
        if self.deaths <= 1:
            return 0.0
        patience = self._patience
        return min(patience.first_wait_s * 2.0 ** (self.deaths - 2), patience.longest_wait_s)
