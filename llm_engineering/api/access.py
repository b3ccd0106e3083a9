"""What every route asks of who calls it, declared on the route or its router.

A route that declares nothing is for admins: forgetting it opens nothing.
Does not know: who calls.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.params import Depends
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette._utils import get_route_path
from starlette.routing import BaseRoute, Mount, Route

from llm_engineering.domain.access import Scope


class Needs(HTTPBearer):
    """A dependency that declares the scope a key must have; the gate checks it.

    `here`: those on this machine need none.
    """

    def __init__(self, scope: Scope, *, here: bool = False) -> None:
        super().__init__(
            scheme_name="key",
            description="A key made by `twin keys create`; not needed while there is none.",
            auto_error=False,
        )
        self.scope = scope
        self.here = here

    async def __call__(self, request: Request) -> None:
        pass


async def anyone() -> None:
    """A dependency that declares a route open to everybody."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one route asks for."""

    route: str | None
    """Its path as declared; None for a path that leads nowhere, which any key may learn."""
    scope: Scope | None = None
    anyone: bool = False
    here: bool = False
    answers: bool = False
    """Asks for work that is limited in number: an answer, a search."""


NOWHERE = Rule(None)


class AccessTable:
    """The rule of every request, found as the router finds its route: path first, then method."""

    def __init__(self, routers: Sequence[APIRouter], *, open_routes: Iterable[BaseRoute]) -> None:
        """`open_routes`: the documentation, for everybody."""
        self._rules: list[tuple[re.Pattern[str], frozenset[str] | None, Rule]] = []
        for route in open_routes:
            if isinstance(route, Route | Mount):
                methods = frozenset(getattr(route, "methods", None) or ()) or None
                self._rules.append((route.path_regex, methods, Rule(route.path, anyone=True)))
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute):
                    self._rules.append(
                        (route.path_regex, frozenset(route.methods or ()), _rule(route))
                    )

    def rule(self, scope: Mapping[str, Any]) -> Rule:
        """Of the route that the router would choose for this request."""
        path, method = get_route_path(scope), scope["method"]  # type: ignore[arg-type]
        other_method = None
        for pattern, methods, rule in self._rules:
            if pattern.match(path):
                if methods is None or method in methods:
                    return rule
                other_method = other_method or rule
        return other_method or NOWHERE

    def rules(self) -> tuple[Rule, ...]:
        return tuple(rule for _, _, rule in self._rules)


def _rule(route: APIRoute) -> Rule:
    """The declaration nearest to the route wins."""
    for dependency in reversed(route.dependencies):
        match dependency:
            case Depends(dependency=Needs() as needs):
                answers = needs.scope is Scope.ASK and "POST" in (route.methods or ())
                return Rule(route.path, needs.scope, here=needs.here, answers=answers)
            case Depends(dependency=declared) if declared is anyone:
                return Rule(route.path, anyone=True)
    return Rule(route.path, Scope.ADMIN)
