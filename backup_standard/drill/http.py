"""HTTP requests to the guest itself, from the drill gateway, with TLS or without."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from backup_standard.drill import tls
from backup_standard.drill.ports import Ports
from backup_standard.inventory.checks import HttpCheck


def http_failure(check: HttpCheck, door: Ports) -> str:
    """One HTTP request from the gateway to the guest itself, whatever host its URL names: "" or what is wrong.

    ConnectionFailed when nobody answers; Untrusted, which is one too, when the certificate is not the right one.
    """
    answer = _ask(check, urlsplit(check.url), door)
    head, _blank, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    if status != check.status:
        return f"{check.url} answers {status or 'no HTTP'}, not {check.status}"
    if check.body and check.body not in body.decode("utf-8", "replace"):
        return f"{check.url} does not contain {check.body!r}"
    return ""


def _ask(check: HttpCheck, url: SplitResult, door: Ports) -> bytes:
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    request = f"GET {path} HTTP/1.0\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n".encode("latin-1", "replace")
    if url.scheme == "http":
        return door.exchange(url.port or 80, request)
    return tls.exchange(door.open(url.port or 443), check, url.hostname or "", request)
