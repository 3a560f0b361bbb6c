"""Malformed inventories: each change to a sound one yields a message with file, line and key, and what would be right.

A line of the table: the key that the message names, what is replaced, by what (nothing: it is left out).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backup_standard.errors import InventoryError
from backup_standard.inventory.loader import parse

SOUND = """\
client: acme
class: real
site: {name: office, timezone: Europe/Berlin}
api:
  url: https://pve1.acme.example:8006
  audit_token: {id: "audit@pve!suite", secret: "env:ACME"}
  drill_token: {id: "drill@pve!suite", secret: "file:~/drill"}
  timeout: 45s
nodes:
  pve1: {ssh: root@pve1.acme.example, known_hosts: ~/.ssh/known_hosts}
policy:
  storage: backup-hdd
  start: "02:00"
  keep_nights: 7
  compress: zstd
  rpo: 26h
  low_usage: 22:00-06:00
drill: {bridge: vmbr9, storage: vmdata, vmids: 9000-9099}
guests:
  200:
    role: docker-host
    name: web
    drill:
      vmid: 201
      address: 10.0.0.20/24
      gateway: 10.0.0.1
      login: {user: drill, key: ~/.ssh/drill}
      services: [{unit: docker}, {container: web}]
  210: {role: dns}
  305: {role: scratch, exempt: {reason: build cache, until: 2027-03-31}}
not_deployed: {monitoring: phase 2}
attestations:
  - {rule: STO-05, subject: pve1/backup-hdd, statement: bay 4, by: A. Person, date: 2026-11-01, until: 2027-05-01}
waivers:
  - {rule: SCH-02, subject: nightly-vm200, reason: later, approved_by: A. Person, expires: 2027-01-31}
"""

TABLE = """\
client | client: acme | client:
client | client: acme | client: [acme]
client | client: acme | client: {name: acme}
client | client: acme | client: 7
client | client: acme | client: true
client | client: acme | client: 2026-11-24
client | client: acme | client: "a/b"
client | client: acme | client: ".."
client | client: acme | client: ""
client | client: acme | klient: acme
class | class: real | class: production
class | class: real | class:
class | class: real | class: [real]
site | site: {name: office, timezone: Europe/Berlin} | site: office
site | site: {name: office, timezone: Europe/Berlin} | site: []
site.name | name: office | nam: office
site.timezone | timezone: Europe/Berlin | timezone: Berlin
site.timezone | timezone: Europe/Berlin | timezone: +02:00
site.timezone | timezone: Europe/Berlin | timezone: 2
site.timezone | timezone: Europe/Berlin | timezone: ../../etc/passwd
site.timezone | timezone: Europe/Berlin | timezone:
api.url | https://pve1.acme.example:8006 | http://pve1.acme.example:8006
api.url | https://pve1.acme.example:8006 | pve1.acme.example
api.url | https://pve1.acme.example:8006 | https://pve1.acme.example:8006/api2/json
api.url | https://pve1.acme.example:8006 | https://
api.url | https://pve1.acme.example:8006 | 8006
api.uri | url: https | uri: https
api.audit_token | audit_token: {id: "audit@pve!suite", secret: "env:ACME"} | audit_token: audit@pve!suite=0123
api.audit_token.id | audit@pve!suite | audit
api.audit_token.id | audit@pve!suite | audit@pve
api.audit_token.id | audit@pve!suite | audit pve!suite
api.audit_token.secret | secret: "env:ACME" | secret: 0123abcd
api.audit_token.secret | secret: "env:ACME" | secret: "env:"
api.audit_token.secret | secret: "env:ACME" | secret:
api.audit_token.secret | secret: "env:ACME" | secret: {env: ACME}
api.audit_token.sekret | secret: "env:ACME" | sekret: "env:ACME"
api.drill_token.secret | secret: "file:~/drill" | secret: "vault:drill"
api.timeout | timeout: 45s | timeout: 45
api.timeout | timeout: 45s | timeout: soon
api.timeout | timeout: 45s | timeout: -5s
api.timeout | timeout: 45s | timeout: [45s]
nodes | pve1: {ssh: root@pve1.acme.example, known_hosts: ~/.ssh/known_hosts} | - pve1
nodes.pve1 | pve1: {ssh: root@pve1.acme.example, known_hosts: ~/.ssh/known_hosts} | pve1: root@pve1
nodes.pve1.ssh | ssh: root@pve1.acme.example | ssh: pve1.acme.example
nodes.pve1.ssh | ssh: root@pve1.acme.example | ssh: root@pve1:abc
nodes.pve1.ssh | ssh: root@pve1.acme.example | ssh: "root@pve1 -oProxyCommand=x"
nodes.pve1.ssh | ssh: root@pve1.acme.example | ssh:
nodes.pve1.shh | ssh: root@pve1.acme.example | shh: root@pve1.acme.example
policy.storage | storage: backup-hdd | storage:
policy.storage | storage: backup-hdd | storage: [backup-hdd]
policy.storage | storage: backup-hdd | storage: 5
policy.storag | storage: backup-hdd | storag: backup-hdd
policy.start | start: "02:00" | start: 2am
policy.start | start: "02:00" | start: "2:00"
policy.start | start: "02:00" | start: 200
policy.keep_nights | keep_nights: 7 | keep_nights: seven
policy.keep_nights | keep_nights: 7 | keep_nights: 0
policy.keep_nights | keep_nights: 7 | keep_nights: -7
policy.keep_nights | keep_nights: 7 | keep_nights: 7.5
policy.keep_nights | keep_nights: 7 | keep_nights: [7]
policy.compress | compress: zstd | compress: gzip
policy.compress | compress: zstd | compress: 1
policy.rpo | rpo: 26h | rpo: 26
policy.rpo | rpo: 26h | rpo: a day
policy.rpo | rpo: 26h | rpo: 26 hours ago
policy.low_usage | low_usage: 22:00-06:00 | low_usage: at night
policy.low_usage | low_usage: 22:00-06:00 | low_usage: 22:00
policy.low_usage | low_usage: 22:00-06:00 | low_usage: 25:00-06:00
policy.keep_days | keep_nights: 7 | keep_days: 7
drill | drill: {bridge: vmbr9, storage: vmdata, vmids: 9000-9099} | drill: vmbr9
drill.vmids | vmids: 9000-9099 | vmids: 9000
drill.vmids | vmids: 9000-9099 | vmids: 9099-9000
drill.vmids | vmids: 9000-9099 | vmids: [9000, 9099]
drill.vmids | vmids: 9000-9099 | vmids: 1-99
drill.bridg | bridge: vmbr9 | bridg: vmbr9
guests.two | 210: {role: dns} | two: {role: dns}
guests.99 | 210: {role: dns} | 99: {role: dns}
guests.200 | 210: {role: dns} | 200: {role: dns}
guests.210 | 210: {role: dns} | 210: dns
guests.210 | 210: {role: dns} | 210:
guests.210 | 210: {role: dns} | 210: [dns]
guests.210.role | 210: {role: dns} | 210: {}
guests.210.role | 210: {role: dns} | 210: {role: DNS}
guests.210.role | 210: {role: dns} | 210: {role: web-server}
guests.210.role | 210: {role: dns} | 210: {role: [dns]}
guests.210.rolle | 210: {role: dns} | 210: {rolle: dns, role: dns}
guests.210.rpo | 210: {role: dns} | 210: {role: dns, rpo: 1}
guests.210.rto | 210: {role: dns} | 210: {role: dns, rto: fast}
guests.210.tags | 210: {role: dns} | 210: {role: dns, tags: x}
guests.305.exempt | exempt: {reason: build cache, until: 2027-03-31} | exempt: true
guests.305.exempt.until | until: 2027-03-31 | until: 2027-02-30
guests.305.exempt.until | until: 2027-03-31 | until: someday
guests.305.exempt.until | , until: 2027-03-31 |
guests.305.exempt.reason | reason: build cache, |
guests.200.drill | vmid: 201 | services: none
guests.200.drill.vmid | vmid: 201 | vmid: two
guests.200.drill.vmid | vmid: 201 | vmid: 99
guests.200.drill.vmid | vmid: 201 | vmid: 210
guests.200.drill.vmid | vmid: 201 | vmid: -1
guests.200.drill.address | address: 10.0.0.20/24 | address: ten
guests.200.drill.address | address: 10.0.0.20/24 | address: 10.0.0.20/99
guests.200.drill.address | address: 10.0.0.20/24 | address: 10.0.0.300/24
guests.200.drill.gateway | gateway: 10.0.0.1 | gateway: router
guests.200.drill.gateway | gateway: 10.0.0.1 | gateway: 10.0.0.1/24
guests.200.drill.login | login: {user: drill, key: ~/.ssh/drill} | login: drill
guests.200.drill.login | login: {user: drill, key: ~/.ssh/drill} | login: {user: drill}
guests.200.drill.login.pasword | key: ~/.ssh/drill | key: x, pasword: y
guests.200.drill.login.password | key: ~/.ssh/drill | password: hunter2
guests.200.drill.services | services: [{unit: docker}, {container: web}] | services: docker
guests.200.drill.services[0] | [{unit: docker}, {container: web}] | [docker]
guests.200.drill.services[0] | {unit: docker}, {container: web} | {}
guests.200.drill.services[0] | {unit: docker}, {container: web} | {unit: docker, container: web}
guests.200.drill.services[0].unit | {unit: docker}, {container: web} | {unit: 7}
guests.200.drill.services[0].port | {unit: docker}, {container: web} | {port: http}
guests.200.drill.services[0].port | {unit: docker}, {container: web} | {port: 70000}
guests.200.drill.servces | services: [ | servces: [
not_deployed | not_deployed: {monitoring: phase 2} | not_deployed: monitoring
not_deployed.monitor | not_deployed: {monitoring: phase 2} | not_deployed: {monitor: phase 2}
not_deployed.monitoring | not_deployed: {monitoring: phase 2} | not_deployed: {monitoring: }
attestations | - {rule: STO-05 | one: {rule: STO-05
attestations[0].until | , until: 2027-05-01 |
attestations[0].date | date: 2026-11-01 | date: first of November
attestations[0].by | by: A. Person, |
attestations[0].rul | rule: STO-05, | rul: STO-05, rule: STO-05,
waivers[0].expires | , expires: 2027-01-31 |
waivers[0].expires | expires: 2027-01-31 | expires: never
waivers[0].approved_by | approved_by: A. Person, |
waivers[0].reason | reason: later, | reason: ,
"""
FAR = 6
"""Lines between a mistake and the place that is named, at most: a missing key is told where its section begins."""
CASES = [tuple(part.strip(" ") for part in re.split(r" \|(?: |$)", line)) for line in TABLE.splitlines()]

NOT_YAML = {
    "a tab": SOUND.replace("  210:", "\t210:"),
    "a colon missing": SOUND.replace("client: acme", "client acme"),
    "a quote left open": SOUND.replace('"02:00"', '"02:00'),
    "a brace left open": SOUND.replace("office, timezone: Europe/Berlin}", "office, timezone: Europe/Berlin"),
    "a stray indentation": SOUND.replace("  305:", "   305:"),
    "an alias to nothing": SOUND.replace("{role: dns}", "*nothing"),
    "two documents": SOUND + "---\nclient: other\n",
    "a control character": SOUND.replace("acme\n", "ac\x07me\n", 1),
}


def refusal(text: str) -> str:
    with pytest.raises(InventoryError) as caught:
        parse(text, Path("acme.yaml"))
    return str(caught.value)


def test_the_corpus_is_sound_before_each_change() -> None:
    assert parse(SOUND, Path("acme.yaml")).inventory.client == "acme"
    assert len(CASES) + len(NOT_YAML) >= 130


@pytest.mark.parametrize(("key", "old", "new"), CASES)
def test_each_mistake_is_named_by_line_and_key_with_its_cure(key: str, old: str, new: str) -> None:
    assert SOUND.count(old) >= 1, old
    text = SOUND.replace(old, new, 1)
    said = refusal(text)
    problems, cure = said.split("\n  Next: ")
    named = [line for line in problems.splitlines() if f": {key}: " in line]
    assert named, said
    assert re.match(r"acme\.yaml:\d+: ", named[0])
    assert abs(int(named[0].split(":")[1]) - text.count("\n", 0, SOUND.index(old)) - 1) <= FAR, "near the mistake"
    assert len(named[0].split(f": {key}: ", 1)[1]) > len("wrong"), "it says what would be right"
    assert "inventory check acme.yaml" in cure
    assert "hunter2" not in said
    assert "0123abcd" not in said


@pytest.mark.parametrize("name", NOT_YAML)
def test_what_is_no_yaml_is_told_with_a_line(name: str) -> None:
    said = refusal(NOT_YAML[name])
    assert re.match(r"acme\.yaml:\d+: ", said), said
    assert "\n  Next: " in said
