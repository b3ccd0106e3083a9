"""Options and fixtures that every test may use."""

import ctypes
import logging
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("same-everywhere", derandomize=True, deadline=None, database=None)
settings.load_profile("same-everywhere")
"""The same examples in every run, and no clock: a slow machine fails nothing."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background deaf to Ctrl-C, and so would be what tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-backends",
        action="store_true",
        help="fail, instead of skipping, where a real server is not configured",
    )


@pytest.fixture(autouse=True)
def root_log_level() -> None:
    """A command that a test or a fixture called in this process sets it, and the next test must
    not log more for it."""
    logging.root.setLevel(logging.WARNING)


class _SignalStack(ctypes.Structure):
    """`stack_t` of sigaltstack(2)."""

    _fields_ = (("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


_NONE = _SignalStack(None, 2, 0)  # SS_DISABLE


@pytest.fixture(autouse=True)
def signal_stack() -> Iterator[None]:
    """Engines that a test closed in another order than it opened them leave this thread a signal
    stack in memory that they gave back: the next signal that Python heeds would end the process."""
    libc, before, after = ctypes.CDLL(None), _SignalStack(), _SignalStack()
    libc.sigaltstack(None, ctypes.byref(before))
    yield
    libc.sigaltstack(None, ctypes.byref(after))
    if after.at != before.at:
        libc.sigaltstack(ctypes.byref(_NONE), None)


@pytest.fixture
def absent_backend(request: pytest.FixtureRequest) -> object:
    """Call with the variable to set: skips the test, or fails it under --require-backends."""

    def absent(variable: str) -> None:
        message = f"no server; set {variable}"
        if request.config.getoption("--require-backends"):
            pytest.fail(message)
        pytest.skip(message)

    return absent
