"""Options and fixtures that every test may use."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-backends",
        action="store_true",
        help="fail, instead of skipping, where a real server is not configured",
    )


@pytest.fixture
def absent_backend(request: pytest.FixtureRequest) -> object:
    """Call with the variable to set: skips the test, or fails it under --require-backends."""

    def absent(variable: str) -> None:
        message = f"no server; set {variable}"
        if request.config.getoption("--require-backends"):
            pytest.fail(message)
        pytest.skip(message)

    return absent
