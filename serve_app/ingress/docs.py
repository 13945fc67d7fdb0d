"""`/docs`: an OpenAPI page with a ready-to-run example per model. Needs no network to show."""

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from serve_app.core.dataplane import DataPlane
from serve_app.errors import UnknownRoute
from serve_app.http.asgi import Receive, Scope, Send, respond
from serve_app.ingress.answers import send_json
from serve_app.ingress.openapi import openapi

_STATIC = "/docs/static/"


class DocsApp:
    """`/docs`, what the page is made of, and `/openapi.json` over the live directory of models."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._static = StaticFiles(directory=swagger_ui_path)
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Tandem",
            swagger_js_url=f"{_STATIC}swagger-ui-bundle.js",
            swagger_css_url=f"{_STATIC}swagger-ui.css",
            swagger_favicon_url=f"{_STATIC}favicon-32x32.png",
        )
        self._page = bytes(page.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer a GET; the status. Raises TandemError."""
        path = scope["path"]
        if path == "/openapi.json":
            return await send_json(send, openapi(self._plane))
        if path == "/docs":
            await respond(send, 200, [self._page], [(b"content-type", b"text/html; charset=utf-8")])
            return 200
        if not path.startswith(_STATIC):
            raise UnknownRoute(f"no route {path}")
        try:
            file = await self._static.get_response(path.removeprefix(_STATIC), scope)
        except HTTPException:
            raise UnknownRoute(f"no route {path}") from None
        await file(scope, receive, send)
        return file.status_code
