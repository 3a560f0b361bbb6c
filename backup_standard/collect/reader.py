"""Concurrent GETs by few threads, each with a client of its own; a refusal becomes a gap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

from backup_standard.errors import ApiError, MissingPrivilege
from backup_standard.model import Gap
from backup_standard.pve import Pve

THREADS = 4
"""pveproxy has three workers by default: more threads would only wait for each other."""

T = TypeVar("T")
R = TypeVar("R")


class Reader:
    """Reads a site through its API."""

    def __init__(self, pve: Pve) -> None:
        self.pve = pve
        self._pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="collect")
        self._own = threading.local()
        self._clients: list[Pve] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for client in self._clients:
            client.close()

    def get(self, path: str, /, **params: Any) -> Any:
        """The ``data`` of the answer, by this thread's client. Raises as :meth:`Pve.get`."""
        return self._client().get(path, **params)

    def log(self, upid: str) -> tuple[str, ...]:
        """Every line of a task's log."""
        return self._client().log(upid)

    def ask(self, fact: str, path: str, /, **params: Any) -> Any | Gap:
        """The ``data`` of the answer, or a gap that says why there is none and what would help."""
        return self.attempt(fact, lambda: self.get(path, **params))

    def attempt(self, fact: str, read: Callable[[], T]) -> T | Gap:
        """What ``read`` returns, or a gap when the API refuses."""
        try:
            return read()
        except MissingPrivilege as problem:
            need = f"{problem.privilege} on {problem.path}" if problem.path else "a privilege the API does not name"
            return Gap(fact, problem.what, f"{need}: {problem.next_step}")
        except ApiError as problem:
            return Gap(fact, str(problem.what))

    def each(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """``work`` on every item, concurrently, results in order. The first error is raised."""
        return list(self._pool.map(work, items))

    def _client(self) -> Pve:
        client: Pve | None = getattr(self._own, "client", None)
        if client is None:
            client = self.pve.again()
            with self._lock:
                self._clients.append(client)
            self._own.client = client
        return client
