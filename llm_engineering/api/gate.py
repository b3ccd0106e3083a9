"""Before any route: who may come in, how much of it, and a line in the audit log of each.

Nothing of a request's body is read before its sender was let in.
Does not know: what routes do.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from llm_engineering.api.access import AccessTable, Rule
from llm_engineering.api.allowances import Allowances
from llm_engineering.api.callers import Caller, caller_of
from llm_engineering.api.entrance import Entrance
from llm_engineering.api.keyring import Keyring
from llm_engineering.api.middleware import AsgiApp, Message, Receive, Scope, Send
from llm_engineering.api.problems import CLIENT_GONE, problem_response
from llm_engineering.api.refusals import Refused
from llm_engineering.api.request_context import KEY_ID
from llm_engineering.domain.audit import AuditEntry
from llm_engineering.ports.stores import AuditLog
from llm_engineering.settings import ApiSettings

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Gate:
    """ASGI middleware around the routes; it reads and changes nothing of what passes."""

    def __init__(
        self,
        app: AsgiApp,
        *,
        table: AccessTable,
        keyring: Keyring,
        audit: Callable[[], AuditLog],
        settings: ApiSettings,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._app = app
        self._table = table
        self._audit = audit
        self._hosts = frozenset((*settings.hosts, settings.host.lower()))
        guarded = settings.auth == "required"
        self._entrance = Entrance(keyring, guarded=guarded, clock=clock, now=now)
        self._allowances = Allowances(settings, clock=clock)
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":  # no route takes anything else
            await self._pass(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = self._table.rule(scope)
        caller = caller_of(scope, hosts=self._hosts)
        try:
            caller = scope["caller"] = await self._entrance.admit(caller, rule)
            KEY_ID.set(caller.key.id if caller.key else "")
            if rule.anyone:
                await self._app(scope, receive, send)
                return
            with self._allowances.spending(
                caller, rule, headers=scope["response_headers"]
            ) as leave:
                await self._served(scope, receive, _before_the_last(leave, send), rule=rule)
        except Refused as refused:
            await self._refuse(scope, receive, send, rule=rule, refused=refused)

    async def _served(self, scope: Scope, receive: Receive, send: Send, *, rule: Rule) -> None:
        status = CLIENT_GONE
        try:
            await self._app(scope, receive, send)
        except Exception:
            status = 500
            raise
        finally:
            self._note(scope, rule, scope["caller"], status=scope.get("status", status))

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, *, rule: Rule, refused: Refused
    ) -> None:
        if refused.reason:
            reason = refused.reason
            self._note(scope, rule, refused.caller, status=refused.status, reason=reason)
        response = problem_response(
            scope, refused.status, refused.detail, kind=refused.kind, headers=refused.headers
        )
        await response(scope, receive, send)

    def _note(
        self, scope: Scope, rule: Rule, caller: Caller, *, status: int, reason: str | None = None
    ) -> None:
        self._audit().note(
            AuditEntry(
                at=self._now(),
                event="request",
                request_id=scope["request_id"],
                key_id=caller.key.id if caller.key else None,
                key_name=caller.key.name if caller.key else None,
                address=caller.address,
                method=scope["method"] if scope["method"] in METHODS else "other",
                route=rule.route,
                status=status,
                refused=reason,
            )
        )


def _before_the_last(leave: Callable[[], None], send: Send) -> Send:
    """`send`, and `leave` before the response's last message."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            leave()
        await send(message)

    return sending
