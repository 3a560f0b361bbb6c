"""The HTTPS side of the control plane: a background thread with an event loop; handlers run in worker threads."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from multidict import MultiMapping

from lab.pve.dispatch import Answer, Request, answer, open_stream, parse_json
from lab.pve.site import Site
from lab.pve.websocket import pump

SERVER = "pve-api-daemon/3.0"
BASE = "/api2/json"
MAX_BODY = 512 * 1024
UNAUTHORIZED = 401


@dataclass(frozen=True)
class TlsFiles:
    """Certificate (chain) and key of the server, PEM files."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """The server's TLS context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Server:
    """A running control plane. ``port`` is the one it got; ``stop()`` ends it and its thread.

    ``answer`` answers each request, in a thread of its own. What a test puts in its place may be a fault; it cuts the
    connection where it raises ConnectionResetError.
    """

    def __init__(self, site: Site, host: str, port: int, tls: TlsFiles | None) -> None:
        """Not started yet; use :func:`serve`."""
        if tls:
            site.certificate = tls.certificate.read_text()
        self.site, self.host, self.port, self._tls = site, host, port, tls
        self.answer: Callable[[Site, Request], Answer] = answer
        self._loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="api")
        self._thread = threading.Thread(target=self._run, name="pve-api", daemon=True)
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base of all API paths."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}{BASE}"

    def start(self) -> None:
        """Start serving; raises what kept it from it (a port in use: OSError)."""
        self._thread.start()
        self._ready.wait()
        if self._error:
            self._thread.join()
            self._pool.shutdown(wait=False)
            raise self._error

    def stop(self) -> None:
        """Stop serving and wait for the end of the thread."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=10)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._open())
        except OSError as error:
            self._error = error
            self._loop.run_until_complete(self._close())
        finally:
            self._ready.set()
        if self._error is None:
            self._loop.run_forever()
        self._loop.close()

    async def _open(self) -> None:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self._tls.context() if self._tls else None)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        if self._runner is None:
            return
        server = self._runner.server
        transports = [one.transport for one in server.connections if one.transport] if server else []
        await self._runner.cleanup()
        for transport in transports:  # whoever does not end its TLS is not waited for
            transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        path = http.rel_url.raw_path
        if path != BASE and not path.startswith(BASE + "/"):
            return _response(_elsewhere(http.method, path))
        try:
            request = await _read(http, path.removeprefix(BASE) or "/")
        except web.HTTPRequestEntityTooLarge:
            return _response(Answer(501, "for data too large", None))
        if http.headers.get("Upgrade", "").lower() == "websocket":
            target = await self._loop.run_in_executor(self._pool, open_stream, self.site, request)
            return _response(target) if isinstance(target, Answer) else await pump(http, *target)
        try:
            result = await self._loop.run_in_executor(self._pool, self.answer, self.site, request)
        except ConnectionResetError:
            return _cut(http)
        if result.status == UNAUTHORIZED and self.site.auth_delay:
            await asyncio.sleep(self.site.auth_delay)
        return _response(result)


def _cut(http: web.Request) -> web.Response:
    """End the connection without an answer."""
    if http.transport:
        http.transport.abort()
    return web.Response()


def _elsewhere(method: str, path: str) -> Answer:
    """What is not below /api2/json: other formats are not served, and there is no web interface."""
    if path.startswith("/api2/"):
        return Answer(501, f"Method '{method} {path}' not implemented", None)
    return Answer(404, "no such file", None)


async def _read(http: web.Request, path: str) -> Request:
    params = _params(http.query)
    if http.method in {"POST", "PUT"}:
        if http.content_type == "application/json":
            params |= parse_json(await http.text())
        else:
            form = await http.post()
            params |= _params(form)
    return Request(
        http.method,
        path,
        params,
        authorization=http.headers.get("Authorization", ""),
        ticket=http.cookies.get("PVEAuthCookie", ""),
        csrf=http.headers.get("CSRFPreventionToken", ""),
        client=http.remote or "127.0.0.1",
    )


def _params(given: MultiMapping[Any]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, value in given.items():
        text = value if isinstance(value, str) else ""
        params[name] = (
            [*params[name], text]
            if isinstance(params.get(name), list)
            else ([params[name], text] if name in params else text)
        )
    return params


def _response(result: Answer) -> web.Response:
    headers = {"Server": SERVER, "Cache-Control": "max-age=0", "Pragma": "no-cache"}
    if result.body is None:
        response = web.Response(status=result.status, reason=result.reason, headers=headers)
    else:
        text = json.dumps(result.body, separators=(",", ":"), ensure_ascii=False)
        headers["Content-Type"] = "application/json;charset=UTF-8"
        response = web.Response(status=result.status, reason=result.reason, headers=headers, body=text.encode())
    if result.status >= 400:
        response.force_close()
    return response


def serve(site: Site, host: str = "127.0.0.1", port: int = 0, tls: TlsFiles | None = None) -> Server:
    """Start the control plane of a site; port 0 takes any free one."""
    server = Server(site, host, port, tls)
    server.start()
    return server
