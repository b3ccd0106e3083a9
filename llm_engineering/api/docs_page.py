"""The documentation at /docs, whose files are our own, and which may run nothing else."""

import base64
import hashlib
import re

from fastapi import APIRouter, Depends, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse

from llm_engineering.api.access import anyone

ASSETS = "/docs-assets"

documenting = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


@documenting.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Swagger's page, with a policy that names its one inline script by its digest."""
    root = request.scope.get("root_path", "").rstrip("/")
    page = get_swagger_ui_html(
        openapi_url=f"{root}{request.app.openapi_url}",
        title=request.app.title,
        swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
    )
    page.headers["content-security-policy"] = policy(bytes(page.body).decode())
    return page


def policy(page: str) -> str:
    """Swagger sets styles and shows its icons inline, so these are allowed; scripts are not."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src 'self' {digests}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'"
    )
