"""What every key store keeps: the port's docstrings, sentence by sentence."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from llm_engineering.domain.access import ApiKey, Scope, digest_of
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, NotFound
from llm_engineering.infrastructure.memory_keys import MemoryKeyStore
from llm_engineering.infrastructure.sqlite_keys import SqliteKeyStore
from llm_engineering.ports.stores import KeyStore

NOW = datetime(2024, 5, 6, 7, 8, 9, 123_456, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)

Opener = Callable[[], KeyStore]


def key(number: int = 1, *, name: str = "", at: datetime = NOW) -> ApiKey:
    return ApiKey(
        id=f"{number:012x}",
        name=name or f"laptop {number}",
        digest=digest_of(b"twin-%d" % number),
        scopes=(Scope.ASK, Scope.FEEDBACK),
        created_at=at,
        expires_at=at + timedelta(days=90),
        requests_per_minute=30,
        answers=2,
    )


@pytest.fixture(params=("memory", "sqlite"))
def reopened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same keys once more, as another process would."""
    memory = MemoryKeyStore()
    opened: list[KeyStore] = []

    def opener() -> KeyStore:
        sqlite = request.param == "sqlite"
        opened.append(SqliteKeyStore(tmp_path / "home" / "keys.db") if sqlite else memory)
        return opened[-1]

    yield opener
    for store in opened:
        store.close()
        store.close()


def test_a_key_comes_back_whole(reopened: Opener) -> None:
    reopened().add(key())

    assert reopened().all() == (key(),)


def test_an_empty_store_has_no_keys_and_no_version(reopened: Opener) -> None:
    assert (reopened().all(), reopened().version()) == ((), "")


def test_the_oldest_key_comes_first_in_whatever_time_zone(reopened: Opener) -> None:
    store = reopened()
    east = NOW.astimezone(timezone(timedelta(hours=9))) - timedelta(minutes=1)
    for each in (key(3, at=LATER), key(2), key(1, at=east)):
        store.add(each)

    assert [each.id for each in reopened().all()] == [key(n).id for n in (1, 2, 3)]


def test_a_name_is_taken_until_its_key_is_revoked(reopened: Opener) -> None:
    store = reopened()
    store.add(key(1, name="laptop"))
    with pytest.raises(InvalidInput, match="there is a key named 'laptop'"):
        reopened().add(key(2, name="laptop"))
    store.revoke(key(1).id, at=NOW)
    store.add(key(2, name="laptop"))

    assert [each.revoked_at for each in store.all()] == [NOW, None]


def test_of_two_that_take_a_name_at_once_one_has_it(reopened: Opener) -> None:
    def add(number: int) -> bool:
        try:
            reopened().add(key(number, name="laptop"))
        except InvalidInput:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(add, range(1, 17)))

    assert (sum(added), len(reopened().all())) == (1, 1)


def test_a_revoked_key_stays_and_keeps_its_first_moment(reopened: Opener) -> None:
    reopened().add(key())
    first = reopened().revoke(key().id, at=NOW)
    again = reopened().revoke(key().id, at=LATER)

    assert first == again == key().model_copy(update={"revoked_at": NOW})
    assert reopened().all() == (first,)


def test_revoking_an_unknown_key_is_an_error(reopened: Opener) -> None:
    with pytest.raises(NotFound, match="no key 'abc'; 'twin keys list'"):
        reopened().revoke("abc", at=NOW)
    reopened().add(key())
    with pytest.raises(NotFound):
        reopened().revoke("abc", at=NOW)


def test_the_latest_use_is_kept_and_unknown_keys_are_passed_over(reopened: Opener) -> None:
    reopened().used({key(1).id: NOW})
    reopened().add(key(1))
    reopened().add(key(2))
    reopened().used({key(1).id: LATER, "abc": NOW})
    reopened().used({key(1).id: NOW})
    reopened().used({})

    assert [each.last_used_at for each in reopened().all()] == [LATER, None]


def test_the_version_tells_of_every_addition_and_revocation_and_of_nothing_else(
    reopened: Opener,
) -> None:
    watching, writing = reopened(), reopened()
    seen = [watching.version()]
    for change in (
        lambda: writing.add(key(1)),
        lambda: writing.add(key(2)),
        lambda: writing.revoke(key(1).id, at=NOW),
    ):
        change()
        seen.append(watching.version())
    writing.used({key(2).id: LATER})

    assert len(set(seen)) == 4
    assert watching.version() == seen[-1]


def test_a_file_that_was_made_anew_has_another_version(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    store.add(key(1))
    before = store.version()
    for path in tmp_path.iterdir():
        path.unlink()
    assert (store.version(), store.all()) == ("", ())
    SqliteKeyStore(tmp_path / "keys.db").add(key(2))

    assert store.version() not in ("", before)
    assert store.all() == (key(2),)
    store.close()


def test_reading_makes_no_file(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    store.all()
    store.version()
    store.used({"abc": NOW})

    assert list(tmp_path.iterdir()) == []


def test_a_row_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    store.add(key())
    with store._file.writing() as connection:
        connection.execute("UPDATE keys SET value = '{}'")

    with pytest.raises(BackendUnavailable, match=r"keys\.db: key '000000000001' cannot be read"):
        store.all()
    store.close()
