"""Concurrent GETs over few connections; a refusal or a failed reading becomes a gap."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

from backup_standard.collect import shapeless
from backup_standard.errors import ApiError, ConnectionFailed, MissingPrivilege, OperatorError, Unreachable
from backup_standard.model import Gap
from backup_standard.pve import Pve

CONNECTIONS = 4
"""pveproxy has three workers by default: more requests at a time would only wait for each other."""
_BRANCHES = 24
"""Threads for parts of a reading that wait for each other: more than such parts; the rest is for what these begin."""
_GIVE_UP_AFTER = 3
"""Requests in a row without any answer after which the API itself is asked whether it is still there."""
_SERVER_ERROR, _NOT_IMPLEMENTED = 500, 501

T = TypeVar("T")
R = TypeVar("R")


class Reader:
    """Reads a site through its API. An API that answers nothing any more is not asked for each fact anew."""

    def __init__(self, pve: Pve) -> None:
        self.pve = pve
        self._pool = ThreadPoolExecutor(max_workers=CONNECTIONS, thread_name_prefix="collect")
        self._parts = ThreadPoolExecutor(max_workers=_BRANCHES, thread_name_prefix="part")
        self._own = threading.local()
        self._clients = [pve.again() for _ in range(CONNECTIONS - 1)]
        self._free: queue.LifoQueue[Pve] = queue.LifoQueue()
        for client in (*self._clients, pve):
            self._free.put_nowait(client)
        self._lock = threading.Lock()
        self._silent, self._gone = 0, threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.shutdown(cancel_futures=True)
        self._pool.shutdown(cancel_futures=True)
        for client in self._clients:
            client.close()

    def get(self, path: str, /, **params: Any) -> Any:
        """The ``data`` of the answer, over a connection that is free. Raises as :meth:`Pve.get`."""
        return self._heard(path, lambda client: client.get(path, **params))

    def rows(self, path: str, /, **params: Any) -> Sequence[Mapping[str, Any]]:
        """The answer to a GET that lists objects; ValueError for any other, null and {} included."""
        return shapeless.rows(self.get(path, **params))

    def record(self, path: str, /, **params: Any) -> Mapping[str, Any]:
        """The answer to a GET of one object; ValueError for any other."""
        return shapeless.record(self.get(path, **params))

    def timed(self, path: str, /) -> tuple[Mapping[str, Any], float]:
        """The object that a GET answers, and our own clock (epoch seconds) in the middle of the request."""

        def ask(client: Pve) -> tuple[Any, float]:
            before = time.time()
            return client.get(path), (before + time.time()) / 2

        answer, ours = self._heard(path, ask)
        return shapeless.record(answer), ours

    def log(self, upid: str) -> tuple[str, ...]:
        """Every line of a task's log."""
        return self._heard(f"…/tasks/{upid}/log", lambda client: client.log(upid))

    def ask(self, fact: str, path: str, /, **params: Any) -> Any | Gap:
        """The ``data`` of the answer, or a gap that says why there is none and what would help."""
        return self.attempt(fact, lambda: self.get(path, **params))

    def attempt(self, fact: str, read: Callable[[], T]) -> T | Gap:
        """What ``read`` returns, or a gap: refused, or broken where no answer came or none that is understood."""
        try:
            return read()
        except MissingPrivilege as problem:
            need = f"{problem.privilege} on {problem.path}" if problem.path else "a privilege the API does not name"
            return Gap(fact, problem.what, f"{need}: {problem.next_step}")
        except ApiError as problem:
            failed = problem.status >= _SERVER_ERROR and problem.status != _NOT_IMPLEMENTED
            return Gap(fact, str(problem.what), broken=failed)
        except OperatorError as problem:
            return Gap(fact, problem.said, broken=True)
        except shapeless.MISSHAPEN as problem:
            asked = getattr(self._own, "path", "the API")
            return Gap(fact, f"the answer to GET {asked} is not understood: {shapeless.say(problem)}", broken=True)

    def start(self, part: Callable[[], R]) -> Future[R]:
        """Begin a part of the reading, which may wait for the results of parts that were begun before it."""
        return self._parts.submit(part)

    def each(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """``work`` on every item, concurrently, results in order; its first error is raised. It calls no ``each``."""
        return list(self._pool.map(work, items))

    def _heard(self, path: str, ask: Callable[[Pve], R]) -> R:
        """One request; after several in a row without an answer, and none to /version, no more are sent.

        ``path`` is what a gap names where the answer is not understood.
        """
        self._own.path = path
        if self._gone.is_set():
            raise ConnectionFailed("the API stopped answering while the site was read", where=self.pve.endpoint.url)
        client = self._free.get()
        try:
            answer = ask(client)
        except Unreachable:
            with self._lock:
                self._silent += 1
                suspect = self._silent >= _GIVE_UP_AFTER
            if suspect:
                self._look_for_life(client)
            raise
        finally:
            self._free.put_nowait(client)
        self._silent = 0
        return answer

    def _look_for_life(self, client: Pve) -> None:
        try:
            client.get("/version")
        except Unreachable:
            self._gone.set()
        except OperatorError:
            pass  # a refusal is an answer too
