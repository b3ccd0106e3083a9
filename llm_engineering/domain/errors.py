"""Every error this project raises on purpose.

    TwinError                       one line to the user, exit code 1 or a 4xx/5xx
    ├── InvalidInput                what was asked cannot be done as asked (HTTP 422)
    │   ├── InvalidConfig           a YAML key or value
    │   └── InvalidSettings         a TWIN_* name or value
    ├── NotFound                    no such document, page, folder (HTTP 404)
    ├── Conflict                    somebody else changed it, or is about to (HTTP 409)
    ├── SourceFailed                one address could not be read; a row in the report
    ├── TooManyFailures             the share of failures passed the configured limit
    ├── IndexMismatch               the index was built with another embedder or rule (HTTP 409)
    ├── IndexEmpty                  nothing was indexed yet (HTTP 409)
    ├── TooFewSamples               the corpus is too small to learn from, or its parts leak
    ├── TrainingFailed              a training job ended without a result
    ├── NotPromotable               a version was not measured, or not found better (HTTP 409)
    ├── BackendUnavailable          a server or file we depend on does not answer (HTTP 503)
    └── MissingExtra                an optional package is not installed

The message says what happened, to which thing, and what to do about it.
"""


class TwinError(Exception):
    """Base of all deliberate errors; `str(error)` is one line fit for a user."""


class InvalidInput(TwinError):
    """The request itself is wrong; nothing was changed."""


class InvalidConfig(InvalidInput):
    """A pipeline configuration names an unknown key or holds a bad value."""


class InvalidSettings(InvalidInput):
    """A `TWIN_*` variable is unknown or holds a bad value."""


class NotFound(TwinError):
    """The thing that was named does not exist."""


class Conflict(TwinError):
    """Somebody else changed the thing meanwhile, or is changing it; trying again may do."""


class SourceFailed(TwinError):
    """One address of a source could not be read."""


class TooManyFailures(TwinError):
    """More addresses failed than the configuration allows; what succeeded is kept."""


class IndexMismatch(TwinError):
    """The index was made by another embedder or another chunking rule."""


class IndexEmpty(TwinError):
    """No index has been published yet."""


class TooFewSamples(TwinError):
    """A sample set would be too small, or what is held out leaks into what is learnt."""


class TrainingFailed(TwinError):
    """A training job ended without a result; its last good checkpoint is kept."""


class NotPromotable(TwinError):
    """A version of the twin may not go into production; the message says what is missing."""


class BackendUnavailable(TwinError):
    """A server, or a file that another process holds, cannot be used now."""

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        """`retry_after_s`: when to try again, where that can be told."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class MissingExtra(TwinError):
    """A package of an optional extra is not installed."""

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(f"{package!r} is not installed; pip install 'llm-twin[{extra}]'")
        self.package = package
        self.extra = extra
