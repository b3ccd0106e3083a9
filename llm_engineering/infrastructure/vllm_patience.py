"""How long is waited for what, where a vLLM server is kept."""

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
