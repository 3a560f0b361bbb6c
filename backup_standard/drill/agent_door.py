"""A login to a Windows guest through its agent: an account and its password, tried inside the guest itself.

For guests that run no SSH server. The password goes to the script's input, so that no command line, log or report holds
it. Upstream (Windows): ``LogonUser`` makes an interactive logon; 1326 is ERROR_LOGON_FAILURE.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backup_standard.drill.dialect import said
from backup_standard.drill.ports import Insider, Ran
from backup_standard.drill.windows import script
from backup_standard.errors import ConnectionFailed, LoginRefused
from backup_standard.inventory.secrets import Secret

LOGON_FAILURE = "1326"
BY_AGENT = "password, as a logon inside the guest through its agent"

LOGON = script("""
$user = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String([Console]::In.ReadLine()))
$word = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String([Console]::In.ReadLine()))
Add-Type -Namespace Drill -Name Logon -MemberDefinition @'
[DllImport("advapi32.dll", SetLastError = true, CharSet = CharSet.Unicode)]
public static extern bool LogonUser(string u, string d, string p, int type, int provider, out IntPtr token);
public static string Try(string u, string d, string p) {
  IntPtr token;
  if (!LogonUser(u, d, p, 2, 0, out token)) { return "refused " + Marshal.GetLastWin32Error(); }
  using (System.Security.Principal.WindowsIdentity.Impersonate(token)) {
    return "account " + System.Security.Principal.WindowsIdentity.GetCurrent().Name;
  }
}
'@
$domain = '.'
if ($user.Contains('\\')) { $domain, $user = $user.Split('\\', 2) } elseif ($user.Contains('@')) { $domain = $null }
[Drill.Logon]::Try($user, $domain, $word)
""")
"""Prints ``account DOMAIN\\USER``, asked under the new logon, or ``refused NUMBER`` of Windows' own error."""


@dataclass(frozen=True)
class AgentSession:
    """A login that stood: what it said of itself. The agent is what runs everything after it."""

    account: str

    def run(self, argv: Sequence[str], *, timeout: float = 30.0) -> Ran:
        """Who logged in, as ``whoami`` says it; nothing else runs under the logon. ConnectionFailed for the rest."""
        del timeout
        if tuple(argv) == ("whoami",):
            return Ran(0, f"{self.account}\n")
        raise ConnectionFailed("a login through the guest agent runs no further commands as that account")

    def close(self) -> None:
        """The logon ended with its script."""


@dataclass(frozen=True)
class AgentDoor:
    """See :class:`backup_standard.drill.ports.Door`."""

    agent: Insider
    user: str
    password: Secret
    method: str = BY_AGENT
    wrong_means: Sequence[str] = ("password",)

    def enter(self) -> AgentSession:
        """Log on with the inventory's password."""
        lines = (base64.b64encode(text.encode()).decode() for text in (self.user, self.password.reveal()))
        ran = self.agent.run(LOGON, stdin="\n".join(lines) + "\n")
        word, _space, rest = ran.stdout.strip().partition(" ")
        if ran.rc == 0 and word == "account":
            return AgentSession(rest)
        if ran.rc == 0 and word == "refused":
            reason = "wrong name or password" if rest == LOGON_FAILURE else "see Windows' system error codes"
            raise LoginRefused(f"Windows refuses the logon of {self.user} with error {rest}: {reason}")
        raise ConnectionFailed(f"the logon could not be tried: {said(ran)}")

    def enter_wrongly(self, means: str) -> AgentSession:
        """Try a fresh random password. Only "wrong name or password" is the refusal that is wanted."""
        del means
        try:
            return replace(self, password=Secret(secrets.token_urlsafe(18))).enter()
        except LoginRefused as refusal:
            if f"error {LOGON_FAILURE}:" in refusal.what:
                raise
            raise ConnectionFailed(refusal.what) from None
