"""The firewall file of a guest: options and rules, enough for a drill to look at them and to close a guest off.

Upstream: PVE/API2/Firewall/VM.pm, Rules.pm; the file's text is kept, and its SHA-1 is the digest (recorded for an empty
one). Aliases, sets and groups are read from the file but cannot be changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lab.pve.call import Call, die
from lab.pve.config import guest_of
from lab.pve.formats import split_list
from lab.pve.guestconfig import digest

_OPTIONS = (
    "dhcp enable ipfilter log_level_in log_level_out macfilter ndp policy_in policy_out radv".split()  # noqa: SIM905
)
_NUMBERS = frozenset({"dhcp", "enable", "ipfilter", "macfilter", "ndp", "radv"})
_ARGUMENTS = {"iface": "i", "source": "source", "dest": "dest", "proto": "p", "dport": "dport", "sport": "sport",
              "log": "log", "icmp-type": "icmp-type"}  # fmt: skip
_KEYS = {value: key for key, value in _ARGUMENTS.items()}

Rule = dict[str, Any]


def sections(text: str) -> dict[str, list[str]]:
    """Section name in capitals → its lines, comments and blank lines left out."""
    found: dict[str, list[str]] = {}
    lines = found.setdefault("", [])
    for line in text.splitlines():
        if head := re.fullmatch(r"\s*\[\s*(\S+)(?:\s+(\S+))?\s*\].*", line):
            name = head[1].upper() + (f" {head[2]}" if head[2] else "")
            lines = found.setdefault(name, [])
        elif line.strip() and not line.startswith("#"):
            lines.append(line.strip())
    return found


def options(text: str) -> dict[str, str | int]:
    """The options a file sets."""
    found: dict[str, str | int] = {}
    for line in sections(text).get("OPTIONS", []):
        key, _, value = (part.strip() for part in line.partition(":"))
        found[key] = int(value) if key in _NUMBERS and value.isdigit() else value
    return found


def rules(text: str) -> list[Rule]:
    """The rules of a file in order, each with its position."""
    return [{**parse_rule(line), "pos": number} for number, line in enumerate(sections(text).get("RULES", []))]


def parse_rule(line: str) -> Rule:
    """One rule line: ``|IN ACCEPT -source 10.0.0.0/24 -p tcp -dport 22 # text`` (a bar switches it off)."""
    body, _, comment = line.partition("#")
    rule: Rule = {"enable": 0 if body.startswith("|") else 1}
    words = body.lstrip("|").split()
    rule["type"] = words[0].lower()
    macro = re.fullmatch(r"(\S+)\((\S+)\)", words[1])
    rule["action"] = macro[2] if macro else words[1]
    if macro:
        rule["macro"] = macro[1]
    pairs = words[2:]
    for name, value in zip(pairs[::2], pairs[1::2], strict=False):
        rule[_KEYS.get(name.lstrip("-"), name.lstrip("-"))] = value
    if comment.strip():
        rule["comment"] = comment.strip()
    return rule


def render_rule(rule: Mapping[str, Any]) -> str:
    """A rule as its line."""
    action = f"{rule['macro']}({rule['action']})" if rule.get("macro") else str(rule["action"])
    words = [f"{'' if rule.get('enable') else '|'}{str(rule['type']).upper()}", action]
    words += [f"-{name} {rule[key]}" for key, name in _ARGUMENTS.items() if rule.get(key) not in {None, ""}]
    return " ".join(words) + (f" # {rule['comment']}" if rule.get("comment") else "")


def _render(text: str, name: str, lines: list[str]) -> str:
    kept = {section: body for section, body in sections(text).items() if section and section != name}
    kept[name] = lines
    order = ["OPTIONS", *sorted(section for section in kept if section not in {"OPTIONS", "RULES"}), "RULES"]
    return "\n".join(
        f"[{section}]\n\n" + "".join(f"{line}\n" for line in kept[section]) for section in order if kept.get(section)
    )


def _text(call: Call) -> str:
    guest = guest_of(call)
    with call.site.lock:
        return call.site.firewall.get(guest.vmid, "")


def _store(call: Call, name: str, lines: list[str]) -> None:
    text = _text(call)
    if (wanted := call.params.get("digest")) and wanted != digest(text):
        die("detected modified configuration - file changed by other user? Try again.")
    with call.site.lock:
        call.site.firewall[int(call.params["vmid"])] = _render(text, name, lines)


def get_options(call: Call) -> object:
    """GET …/firewall/options."""
    text = _text(call)
    return {**options(text), "digest": digest(text)}


def put_options(call: Call) -> object:
    """PUT …/firewall/options."""
    found = options(_text(call))
    for key in split_list(str(call.params.get("delete", ""))):
        found.pop(key, None)
    found |= {key: call.params[key] for key in _OPTIONS if key in call.params}
    _store(call, "OPTIONS", [f"{key}: {value}" for key, value in sorted(found.items())])
    return None


def get_rules(call: Call) -> object:
    """GET …/firewall/rules."""
    text = _text(call)
    return [{**rule, "digest": digest(text)} for rule in rules(text)]


def get_rule(call: Call) -> object:
    """GET …/firewall/rules/{pos}."""
    text = _text(call)
    found, position = rules(text), int(call.params["pos"])
    if not 0 <= position < len(found):
        die(f"no rule at position {position}")
    return {**found[position], "digest": digest(text)}


def post_rule(call: Call) -> object:
    """POST …/firewall/rules: a new rule comes first, or at ``pos``; it is off unless ``enable`` says otherwise."""
    found = rules(_text(call))
    rule = {key: value for key, value in call.params.items() if key not in {"node", "vmid", "digest", "pos"}}
    found.insert(int(call.params.get("pos", 0)), {"enable": 0, **rule})
    _store(call, "RULES", [render_rule(entry) for entry in found])
    return None


def put_rule(call: Call) -> object:
    """PUT …/firewall/rules/{pos}: change or move a rule."""
    found, position = rules(_text(call)), int(call.params["pos"])
    if not 0 <= position < len(found):
        die(f"no rule at position {position}")
    rule = found.pop(position)
    changes = {key: value for key, value in call.params.items() if key not in _NOT_A_RULE}
    for key in split_list(str(call.params.get("delete", ""))):
        rule.pop(key, None)
    found.insert(int(call.params.get("moveto", position)), {**rule, **changes})
    _store(call, "RULES", [render_rule(entry) for entry in found])
    return None


_NOT_A_RULE = frozenset({"node", "vmid", "digest", "pos", "delete", "moveto"})


def delete_rule(call: Call) -> object:
    """DELETE …/firewall/rules/{pos}."""
    found, position = rules(_text(call)), int(call.params["pos"])
    if not 0 <= position < len(found):
        die(f"no rule at position {position}")
    del found[position]
    _store(call, "RULES", [render_rule(entry) for entry in found])
    return None


def refs(call: Call) -> object:
    """GET …/firewall/refs: aliases and sets that a rule may name."""
    wanted, found = call.params.get("type"), []
    for name, lines in sections(_text(call)).items():
        if name.startswith("IPSET ") and wanted in {None, "ipset"}:
            found.append({"type": "ipset", "name": name[6:], "ref": f"+{name[6:]}", "scope": "guest"})
        if name == "ALIASES" and wanted in {None, "alias"}:
            found += [
                {"type": "alias", "name": line.split()[0], "ref": line.split()[0], "scope": "guest"} for line in lines
            ]
    return found
