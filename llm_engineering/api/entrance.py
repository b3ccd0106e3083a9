"""Whether a caller may come in: by key, or without one where there are none.

Does not know: how much they may ask.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from llm_engineering.api.access import Rule
from llm_engineering.api.callers import Caller
from llm_engineering.api.keyring import Keyring, Keys
from llm_engineering.api.quotas import Buckets
from llm_engineering.api.refusals import (
    MAKE_A_KEY,
    Refused,
    stranger,
    too_many,
    unreadable_keys,
    without_key,
    without_scope,
)
from llm_engineering.domain.errors import BackendUnavailable

REFUSALS_PER_MINUTE = 60
"""Of one address; past them it is only told to wait, and the audit log is not filled with it."""

log = logging.getLogger(__name__)


class Entrance:
    """For one event loop."""

    def __init__(
        self,
        keyring: Keyring,
        *,
        guarded: bool,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        """`guarded`: keys are asked for although there are none."""
        self._keyring = keyring
        self._guarded = guarded
        """Once keys are asked for, they are: whoever removes the last one, or the file that
        holds them, opens nothing."""
        self._refusals = Buckets(clock)
        self._now = now

    async def admit(self, caller: Caller, rule: Rule) -> Caller:
        """The caller, with their key if they come with one. Raises Refused."""
        if rule.anyone:
            return await self._recognised(caller)
        try:
            keys = await self._keyring.keys()
        except BackendUnavailable as error:
            log.warning("%s", error)
            raise unreadable_keys(caller, error) from None
        self._guarded = self._guarded or bool(keys.by_digest)
        try:
            if self._guarded:
                return self._with_key(caller, rule, presented_to=keys)
            if caller.local:
                return caller
            raise stranger(caller)
        except Refused as refused:
            raise self._limited(refused) from None

    def _with_key(self, caller: Caller, rule: Rule, *, presented_to: Keys) -> Caller:
        if caller.presented is None:
            if rule.here and caller.local:
                return caller
            detail = f"send 'authorization: Bearer' and a key; {MAKE_A_KEY}"
            raise without_key(caller, detail=detail, reason="no key")
        key = presented_to.find(caller.presented)
        state = key.state(self._now()) if key else "unknown"
        known = replace(caller, key=key)
        if key is None or state != "live":
            detail = f"this key opens nothing; it may be revoked or expired. {MAKE_A_KEY}"
            raise without_key(known, detail=detail, reason=f"{state} key")
        if rule.scope is not None and not key.allows(rule.scope):
            raise without_scope(known, held=key.scopes, wanted=rule.scope)
        self._keyring.use(key)
        return known

    async def _recognised(self, caller: Caller) -> Caller:
        """Whoever needs no key is not refused for a wrong one."""
        if caller.presented is None:
            return caller
        try:
            key = (await self._keyring.keys()).find(caller.presented)
        except BackendUnavailable:
            return caller
        return replace(caller, key=key) if key and key.state(self._now()) == "live" else caller

    def _limited(self, refused: Refused) -> Refused:
        """The refusal, or that of one who had too many of them."""
        address = replace(refused.caller, key=None).name
        taken = self._refusals.take(address, per_minute=REFUSALS_PER_MINUTE)
        if taken.granted:
            return refused
        detail = f"{taken.limit} refused requests a minute are enough; wait before the next"
        return too_many(refused.caller, detail=detail, reason="", wait_s=taken.retry_s)
