"""A real login to the restored guest, and a wrong one that must be refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backup_standard import waiting
from backup_standard.drill.dialect import Dialect
from backup_standard.drill.ports import Door, Session
from backup_standard.drill.posix import POSIX
from backup_standard.errors import ConnectionFailed, LoginRefused, Untrusted


class LoginFailed(Exception):
    """Nobody could log in, or somebody could who must not; the text says which."""


def log_in(
    door: Door, *, timeout: float, tick: Callable[[float], None], dialect: Dialect = POSIX
) -> tuple[Session, dict[str, Any]]:
    """Log in, ask as that account who it is, and show that a wrong credential is refused.

    Returns the session (the caller closes it) and what was seen. LoginFailed says what was not as it should be.
    """
    session = waiting.until(
        lambda: enter(door),
        timeout=timeout,
        what=f"login as {door.user}",
        tick=lambda _none, elapsed: tick(elapsed),
    )
    assert session is not None
    try:
        prove_account(session, door.user, dialect)
        refused = show_refusal(door)
    except BaseException:
        session.close()
        raise
    return session, {
        "account": door.user,
        "method": door.method,
        "command": " ".join(dialect.who),
        "wrong_credential": refused,
    }


def prove_account(session: Session, user: str, dialect: Dialect = POSIX) -> None:
    """Run a command as the account that logged in; LoginFailed when it is another account's or cannot be run."""
    who = session.run(dialect.who)
    if who.rc != 0 or not dialect.is_account(who.stdout, user):
        asked = " ".join(dialect.who)
        raise LoginFailed(f"logged in as {user}, but {asked} said {(who.stdout or who.stderr).strip()!r}")


def enter(door: Door) -> Session | None:
    """One try; None while nobody answers yet. LoginFailed when the account or its credential is not accepted."""
    try:
        return door.enter()
    except LoginRefused as refusal:
        raise LoginFailed(f"the login as {door.user} was refused ({refusal.what})") from None
    except Untrusted as distrust:
        raise LoginFailed(f"the guest is not the one that was backed up ({distrust.what})") from None
    except ConnectionFailed:
        return None


def show_refusal(door: Door) -> dict[str, str]:
    """Try a key and a password that nobody has; LoginFailed when one opens the door or the answer is no refusal."""
    shown = {}
    for means in door.wrong_means:
        try:
            session = door.enter_wrongly(means)
        except LoginRefused:
            shown[means] = "refused"
        except ConnectionFailed as problem:
            raise LoginFailed(f"whether a wrong {means} is refused could not be shown ({problem.what})") from None
        else:
            session.close()
            raise LoginFailed(f"a wrong {means} was accepted for {door.user}: anybody can log in")
    return shown
