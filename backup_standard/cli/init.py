"""``backup-standard inventory init``: a first inventory, drafted from a site."""

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from backup_standard.cli.base import OK, Commands, command, say
from backup_standard.cli.discover import Discovered, discover
from backup_standard.cli.draft import draft
from backup_standard.collect.reader import Reader
from backup_standard.errors import OperatorError, Untrusted
from backup_standard.inventory.loader import parse
from backup_standard.inventory.schema import ApiSection
from backup_standard.pve import Pve
from backup_standard.pve.tls import SHOW_FINGERPRINT, Endpoint, fingerprint_of, presented

_INIT = """\
Looks at a site with an audit token, read-only, and writes a commented inventory: its guests, the storage its jobs
write to, a bridge for drills, its time zone. A role is filled in only where the site leaves no doubt (the only template
is the golden template); every other guest is client-data, which is backed up, and marked "check". SSH to the nodes and
the drills' login are yours to add.

On first contact the certificate is trusted by --ca (a copy of /etc/pve/pve-root-ca.pem of a node, which outlives
renewals) or by --fingerprint. With neither the fingerprint is shown and nothing is sent, unless this machine trusts
the certificate anyway.

  export ACME_AUDIT_TOKEN=…
  backup-standard inventory init --host pve1.acme.example --token audit@pve!suite --secret env:ACME_AUDIT_TOKEN \\
      --fingerprint AB:CD:… --output inventories/acme.yaml

inventories/README.md has the commands that make the token. Without --output the inventory goes to the terminal.

exit status: 0 written, 1 nothing was written
"""

_OPTIONS = {"url": "--host", "id": "--token", "secret": "--secret", "fingerprint": "--fingerprint", "ca": "--ca"}


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """The command."""
    init = command(commands, "init", _init, help_text="draft an inventory from a site, read-only", text=_INIT)
    init.add_argument("--host", required=True, metavar="URL", help="a node: pve1.acme.example or https://HOST:8006")
    init.add_argument("--token", required=True, metavar="ID", help="the audit token's id, as audit@pve!suite")
    init.add_argument("--secret", required=True, metavar="REF", help="its secret: env:NAME, file:PATH or cmd:COMMAND")
    trust = init.add_mutually_exclusive_group()
    trust.add_argument("--ca", metavar="FILE", help="the site's CA certificate")
    trust.add_argument("--fingerprint", metavar="SHA256", help="the certificate's SHA-256, AB:CD:…")
    init.add_argument(
        "--client", metavar="NAME", help="short name of the client (default: the output's, or the site's)"
    )
    init.add_argument("--output", type=Path, metavar="FILE", help="where to write it; must not exist yet")


def _init(arguments: argparse.Namespace) -> int:
    output: Path | None = arguments.output
    if output and output.exists():
        raise OperatorError(
            "there is an inventory already", where=str(output), next_step="choose another name; nothing is overwritten"
        )
    api = _section(arguments)
    with _connect(api) as pve, Reader(pve) as reader:
        found = discover(reader)
    client = arguments.client or re.sub(r"[^A-Za-z0-9._-]", "-", output.stem if output else found.name).lstrip("._-")
    made = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}: backup-standard inventory init --host {arguments.host}"
    beside = output is None or (output.parent / "schema.json").exists()
    text = draft(found, api, client=client or "client", made=made, schema=beside)
    parse(text, output or Path("the draft"))
    if output:
        _write(output, text)
        _tell(output, found)
    else:
        say(text.rstrip())
    for gap in found.gaps:
        print(f"note: not seen: {gap.fact}: {gap.reason}; needed: {gap.need}", file=sys.stderr)  # noqa: T201 - a command
    return OK


def _section(arguments: argparse.Namespace) -> ApiSection:
    """The connection as the command line describes it. OperatorError names the option that is wrong."""
    url = arguments.host.rstrip("/")
    if "://" not in url:
        url = f"https://{url}" if re.search(r":\d+$", url) else f"https://{url}:8006"
    token = {"id": arguments.token, "secret": arguments.secret}
    values = {"url": url, "ca": arguments.ca, "fingerprint": arguments.fingerprint, "audit_token": token}
    try:
        return ApiSection.model_validate(values)
    except ValidationError as problem:
        lines = [_wrong(error["loc"][-1], error.get("ctx", {})) for error in problem.errors()]
        raise OperatorError("\n".join(lines), next_step="backup-standard inventory init --help") from None


_FORMS = {"url": "https://HOST:8006", "id": "USER@REALM!NAME, as audit@pve!suite", "fingerprint": "32 pairs AB:CD:…"}


def _wrong(key: str | int, context: dict[str, object]) -> str:
    """What is wrong with one option, without repeating what may be a secret."""
    return f"{_OPTIONS[str(key)]}: {context.get('error') or 'write ' + _FORMS[str(key)]}"


def _connect(api: ApiSection) -> Pve:
    """A client that has been let in; on first contact the certificate is shown, not trusted."""
    try:
        return Pve.connect(api, api.audit_token)
    except Untrusted as problem:
        certificate = presented(Endpoint.of(api)) if not (api.ca or api.fingerprint) else None
        if certificate is None:
            raise
        shown = fingerprint_of(certificate.public_bytes(Encoding.DER))
        raise OperatorError(
            problem.what,
            where=problem.where,
            next_step=f"compare it on the node: {SHOW_FINGERPRINT}\n  if it is the same: --fingerprint {shown}\n"
            "  (or copy /etc/pve/pve-root-ca.pem of the node here: --ca FILE)",
        ) from None


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise OperatorError(
            f"the file cannot be written: {problem.strerror}", where=str(path), next_step="choose another --output"
        ) from None


def _tell(path: Path, found: Discovered) -> None:
    say(f"{path}: {len(found.guests)} guests, {len(found.nodes)} nodes, {len(found.jobs)} backup jobs")
    say('go through every line that says "check", add SSH to the nodes, then:')
    say(f"  backup-standard inventory check {path}")
    say(f"  pytest --inventory {path}")
