"""The firewall file of a guest."""

from __future__ import annotations

from lab.pve import firewall
from lab.pve.guestconfig import digest
from tests.lab_unit.pve.guestlab import Lab

TEXT = """[OPTIONS]

enable: 1
policy_in: DROP

[ALIASES]

web 10.0.0.80

[IPSET office]

10.0.0.0/24

[RULES]

IN ACCEPT -source 10.0.0.0/24 -p tcp -dport 22 # ssh
|OUT SSH(DROP)
"""


def test_a_guest_without_a_file_has_only_the_digest_of_nothing(lab: Lab) -> None:
    assert lab.data("GET", "~/qemu/200/firewall/options") == {"digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}
    assert lab.data("GET", "~/qemu/200/firewall/rules") == []


def test_a_file_is_read(lab: Lab) -> None:
    lab.site.firewall[200] = TEXT

    assert lab.data("GET", "~/qemu/200/firewall/options") == {"enable": 1, "policy_in": "DROP", "digest": digest(TEXT)}
    assert lab.data("GET", "~/qemu/200/firewall/rules") == [
        {"pos": 0, "enable": 1, "type": "in", "action": "ACCEPT", "source": "10.0.0.0/24", "proto": "tcp",
         "dport": "22", "comment": "ssh", "digest": digest(TEXT)},
        {"pos": 1, "enable": 0, "type": "out", "action": "DROP", "macro": "SSH", "digest": digest(TEXT)},
    ]  # fmt: skip
    assert [entry["ref"] for entry in lab.data("GET", "~/qemu/200/firewall/refs")] == ["web", "+office"]


def test_rules_survive_being_written() -> None:
    rules = firewall.rules(TEXT)

    assert [firewall.parse_rule(firewall.render_rule(rule)) for rule in rules] == [
        {key: value for key, value in rule.items() if key != "pos"} for rule in rules
    ]


def test_options_and_rules_are_changed_and_the_rest_is_kept(lab: Lab) -> None:
    lab.site.firewall[200] = TEXT
    lab.data("PUT", "~/qemu/200/firewall/options", policy_out="DROP", delete="policy_in")
    lab.data("POST", "~/qemu/200/firewall/rules", type="in", action="DROP", enable=1, comment="all")
    lab.data("PUT", "~/qemu/200/firewall/rules/1", enable=0)
    lab.data("DELETE", "~/qemu/200/firewall/rules/2")
    text = lab.site.firewall[200]

    assert firewall.options(text) == {"enable": 1, "policy_out": "DROP"}
    assert [(rule["action"], rule["enable"]) for rule in firewall.rules(text)] == [("DROP", 1), ("ACCEPT", 0)]
    assert "[ALIASES]" in text
    assert "[IPSET office]" in text


def test_a_stale_digest_is_refused(lab: Lab) -> None:
    assert lab.refused("PUT", "~/qemu/200/firewall/options", enable=1, digest="0" * 40)[0] == 500
    assert lab.refused("GET", "~/qemu/200/firewall/rules/4") == (500, "no rule at position 4")
