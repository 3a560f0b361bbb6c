"""The client of the Proxmox VE API over proxmoxer: the only module that knows proxmoxer.

One object serves one thread; :meth:`Pve.again` makes another for another thread. Settings of the environment
(proxies, ``REQUESTS_CA_BUNDLE``) do not apply: what is trusted stands in the inventory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import quote

import proxmoxer
import requests
from urllib3.exceptions import NewConnectionError, ProtocolError

from backup_standard.errors import ConnectionFailed, OperatorError
from backup_standard.inventory.schema import ApiSection, Token
from backup_standard.inventory.secrets import Secret, resolve
from backup_standard.pve.refusals import grant, refusal
from backup_standard.pve.tasks import TaskResult, read_log, wait_for
from backup_standard.pve.tls import Endpoint, TrustingAdapter, explain_tls, unreachable

Permit = Callable[[str, str, Mapping[str, Any]], None]
"""Says yes to a write (method, path, parameters) by returning, no by raising Refused."""

_TRIES = 3
"""How often a GET is sent when the connection drops (pveproxy closes it after 100 requests and on every refusal)."""


class Pve:
    """Reads of the API."""

    def __init__(self, api: ApiSection, token: Token, *, secret: Secret | None = None) -> None:
        """Connect nowhere yet. SecretError when the token's secret cannot be read."""
        self._section, self.token = api, token
        self._secret = secret or resolve(token.secret, where=token.where or f"token {token.id}")
        self.endpoint = Endpoint.of(api)
        user, _, name = token.id.partition("!")
        self._api = proxmoxer.ProxmoxAPI(
            self.endpoint.host,
            port=self.endpoint.port,
            user=user,
            token_name=name,
            token_value=self._secret.reveal(),
            verify_ssl=self.endpoint.verify,
            timeout=self.endpoint.timeout,
        )
        session: requests.Session = self._api._store["session"]  # noqa: SLF001 - proxmoxer offers no other way
        session.trust_env = False
        session.max_redirects = 0
        session.mount("https://", TrustingAdapter(self.endpoint))
        self._session = session

    @staticmethod
    def connect(api: ApiSection, token: Token) -> Pve:
        """A client that has been let in. ConnectionFailed or OperatorError (secret, token refused) when it is not."""
        client = Pve(api, token)
        client.get("/version")
        return client

    def again(self) -> Pve:
        """Another client of the same API and token, for another thread; reads only."""
        return Pve(self._section, self.token, secret=self._secret)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, path: str, /, **params: Any) -> Any:
        """The ``data`` of the answer. Parameters with dashes: ``get(path, **{"prune-backups": "keep-all=1"})``.

        MissingPrivilege, ApiError (status and text of the API) or ConnectionFailed. A dropped connection is tried
        again.
        """
        for tries_left in range(_TRIES - 1, -1, -1):
            try:
                return self._request("get", path, params)
            except _Dropped as drop:
                if not tries_left:
                    raise unreachable(self.endpoint, drop.problem) from None
        raise AssertionError("not reached")  # pragma: no cover

    def log(self, upid: str) -> tuple[str, ...]:
        """Every line of a task's log."""
        return read_log(self, upid)

    def wait_task(
        self, upid: str, *, timeout: float, tick: Callable[[Mapping[str, Any], float], None] | None = None
    ) -> TaskResult:
        """Wait for a task's end; see :func:`backup_standard.pve.tasks.wait_for`."""
        return wait_for(self, upid, timeout=timeout, tick=tick)

    def grant(self, privilege: str, path: str) -> str:
        """The command that gives this token a privilege on a path."""
        return grant(privilege, path, self.token.id)

    def authorization(self) -> str:
        """The header that lets a websocket in; secret, never to be logged."""
        return f"PVEAPIToken={self.token.id}={self._secret.reveal()}"

    def _request(self, method: str, path: str, params: Mapping[str, Any]) -> Any:
        where = f"{self.endpoint.url}{path}"
        resource = self._api(path.strip("/"))
        try:
            answer = getattr(resource, method)(**params)
        except proxmoxer.ResourceException as problem:
            raise refusal(
                problem.status_code,
                str(problem.content).strip(),
                _named(problem.errors),
                where=f"{method.upper()} {path}",
                token=self.token.id,
            ) from None
        except requests.exceptions.SSLError as problem:
            raise explain_tls(self.endpoint, problem) from None
        except requests.exceptions.RequestException as problem:
            raise self._no_answer(problem) from None
        except (KeyError, AttributeError, ValueError, TypeError, RecursionError):
            answer = _NOT_PVE
        if answer is _NOT_PVE or _is_raw(answer):
            raise ConnectionFailed(
                "the answer is not that of a Proxmox VE API", where=where, next_step="check api.url in the inventory"
            )
        return answer

    def _no_answer(self, problem: requests.exceptions.RequestException) -> Exception:
        if isinstance(problem, requests.exceptions.TooManyRedirects):
            return ConnectionFailed(
                "the answer is a redirect, which the API never sends",
                where=self.endpoint.url,
                next_step="check api.url in the inventory",
            )
        cause = problem.args[0] if problem.args else None
        refused = isinstance(getattr(cause, "reason", None), NewConnectionError)
        if not refused and isinstance(cause, ProtocolError):
            return _Dropped(problem)
        return unreachable(self.endpoint, problem)


class PveWriter(Pve):
    """Reads, and writes that a guard permits; each is sent once, whatever happens to the connection."""

    def __init__(self, api: ApiSection, token: Token, permit: Permit, *, secret: Secret | None = None) -> None:
        """``permit`` is asked before every write and raises Refused to forbid it."""
        super().__init__(api, token, secret=secret)
        self._permit = permit

    def write(self, method: str, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Send one POST, PUT or DELETE and return the ``data`` of its answer, often a UPID.

        Refused by the guard, or what :meth:`get` raises. A connection that drops leaves open whether the API acted:
        ConnectionFailed says so.
        """
        given = dict(params or {})
        self._permit(method, path, given)
        if method not in {"POST", "PUT", "DELETE"}:
            raise OperatorError(f"{method} is not a way to write")
        try:
            return self._request(method.lower(), path, given)
        except _Dropped as drop:
            reason = unreachable(self.endpoint, drop.problem).what
            raise ConnectionFailed(
                f"{reason}; whether {method} {path} was carried out is not known", where=self.endpoint.url
            ) from None

    def run_task(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float,
        tick: Callable[[Mapping[str, Any], float], None] | None = None,
    ) -> TaskResult:
        """Write and wait for the task that it starts."""
        return self.wait_task(str(self.write(method, path, params)), timeout=timeout, tick=tick)


class _Dropped(Exception):
    """The connection ended in the middle of a request."""

    def __init__(self, problem: BaseException) -> None:
        self.problem = problem
        super().__init__(str(problem))


_NOT_PVE = object()


def _is_raw(answer: Any) -> bool:
    """Whether proxmoxer hands on a body that was no JSON: ``{"errors": b"…"}`` as if it were data."""
    return isinstance(answer, dict) and set(answer) == {"errors"} and isinstance(answer["errors"], bytes)


def _named(errors: Any) -> dict[str, str]:
    """The API's complaints by parameter; none where the body held something else."""
    if not isinstance(errors, dict) or any(isinstance(text, bytes) for text in errors.values()):
        return {}
    return {str(name): str(text).strip() for name, text in errors.items()}


def quoted(volid: str) -> str:
    """A volume id as one step of a path."""
    return quote(volid, safe="")
