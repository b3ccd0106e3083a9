"""One MongoDB server reached by URI, with errors in one line that keep its password.

Does not know: what is kept there.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from llm_engineering.domain.errors import BackendUnavailable, InvalidSettings, MissingExtra

try:
    from pymongo import MongoClient
    from pymongo.database import Database
    from pymongo.errors import (
        BulkWriteError,
        ConfigurationError,
        ConnectionFailure,
        InvalidName,
        OperationFailure,
        PyMongoError,
    )
    from pymongo.uri_parser import parse_uri
except ImportError:
    raise MissingExtra("pymongo", extra="mongo") from None

Record = dict[str, Any]

_SLOWEST_ANSWER = 12
"""Times `timeout_s` that a server which is up may take for one answer."""


class MongoConnection:
    """A database that is connected to on its first use, and again after `close`."""

    def __init__(self, uri: str, *, database: str, timeout_s: float) -> None:
        self._uri = uri
        self._database = database
        self._timeout_ms = int(timeout_s * 1000)
        self._lock = Lock()
        self._client: MongoClient[Record] | None = None

    @contextmanager
    def open(self) -> Iterator[Database[Record]]:
        """The database. Raises BackendUnavailable, and InvalidSettings for what names it."""
        with self._lock:
            if self._client is None:
                self._client = _connect(self._uri, self._timeout_ms)
            client = self._client
        try:
            yield client[self._database]
        except InvalidName as error:
            raise InvalidSettings(f"TWIN_DOCUMENTS__DATABASE={self._database!r}: {error}") from None
        except PyMongoError as error:
            raise BackendUnavailable(f"MongoDB at {_hosts(self._uri)} {_explain(error)}") from error

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _connect(uri: str, timeout_ms: int) -> MongoClient[Record]:
    try:
        if not uri.startswith("mongodb+srv://"):  # whose parser would ask the name server
            parse_uri(uri, warn=False)
        return MongoClient(
            uri,
            connect=False,
            serverSelectionTimeoutMS=timeout_ms,
            connectTimeoutMS=timeout_ms,
            socketTimeoutMS=_SLOWEST_ANSWER * timeout_ms,
        )
    except (ConfigurationError, ValueError, OSError):
        # What pymongo says may quote a piece of the password.
        raise InvalidSettings(
            "TWIN_DOCUMENTS__URI is no valid connection string; write"
            " mongodb://user:password@host:port/?options, with the special characters of user and"
            " password percent-encoded"
        ) from None


def _hosts(uri: str) -> str:
    """'host:port, ...' of a valid `uri`: everything but user, password and options."""
    scheme, _, rest = uri.partition("://")
    hosts = re.split("[/?]", rest, maxsplit=1)[0].rpartition("@")[2].split(",")
    port = "" if scheme == "mongodb+srv" else ":27017"
    return ", ".join(h if re.search(r":\d+$", h) else h + port for h in hosts)


def _explain(error: PyMongoError) -> str:
    match error:
        case OperationFailure(code=18):
            return "refuses the login; correct user and password in TWIN_DOCUMENTS__URI"
        case OperationFailure(code=13):
            return "forbids this; give the user of TWIN_DOCUMENTS__URI readWrite on the database"
        case ConnectionFailure():
            return "does not answer; start it with 'make up', or unset TWIN_DOCUMENTS__KIND"
        case BulkWriteError(details={"writeErrors": [{"errmsg": str(message)}, *_]}):
            return f"refuses a document: {_line(message)}"
        case OperationFailure(details={"errmsg": str(message)}):
            return f"refuses this: {_line(message)}"
        case _:
            return f"failed: {_line(str(error))}"


def _line(message: str) -> str:
    return " ".join(message.split())[:200]
