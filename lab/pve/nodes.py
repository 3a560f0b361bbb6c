"""Routes of the node itself: status, time, services, DNS, certificates (upstream: PVE/API2/Nodes.pm, Services.pm)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.pve.call import ApiError, Call
from lab.pve.cluster import node_entry, nodes
from lab.pve.site import Site

UNITS = {"sshd": "ssh", "syslog": "rsyslog"}
"""Services whose unit has another name."""
PROPERTIES = "Description,ActiveState,SubState,UnitFileState,LoadState"


def run(site: Site, *argv: str) -> str:
    """Run a command on the node; 500 with its complaint when it fails."""
    result = site.hypervisor.node.run(argv)
    if result.rc:
        raise ApiError(500, f"command '{' '.join(argv)}' failed: exit code {result.rc}")
    return result.stdout


def read(site: Site, path: str) -> str:
    """A small text file of the node, '' when it is not there."""
    try:
        return site.hypervisor.node.read(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def list_nodes(call: Call) -> object:
    """GET /nodes; figures only for those who may audit the node."""
    entries = [node_entry(call, site) for site in nodes(call.site)]
    if call.site.certificate:
        return [{**entry, "ssl_fingerprint": fingerprint(call.site.certificate)} for entry in entries]
    return entries


def status(call: Call) -> object:
    """GET /nodes/{node}/status."""
    site = call.site
    figures = site.figures.read()
    memory, cpu = figures["memory"], figures["cpuinfo"]
    release, version, machine = (run(site, "uname", flag).strip() for flag in ("-r", "-v", "-m"))
    swap = {"total": memory.get("SwapTotal", 0), "free": memory.get("SwapFree", 0)}
    shown = {
        "uptime": figures["uptime"],
        "loadavg": figures["loadavg"],
        "cpu": 0,
        "idle": 0,
        "wait": 0,
        "ksm": {"shared": 0},
        "memory": _memory(site, memory),
        "swap": {**swap, "used": swap["total"] - swap["free"]},
        "rootfs": figures["rootfs"],
        "cpuinfo": {
            "cpus": figures["cpus"],
            "cores": figures["cpus"],
            "sockets": 1,
            "model": cpu.get("model name", "unknown"),
            **_maker(site, cpu),
            "mhz": cpu.get("cpu MHz", "0"),
            "flags": cpu.get("flags", ""),
            "user_hz": 100,
            "hvm": "1" if re.search(r"\b(vmx|svm)\b", cpu.get("flags", "")) else "",
        },
        "kversion": f"Linux {release} {version}",
        "pveversion": f"pve-manager/{site.full_version}/{site.release.repoid}",
    }
    if site.major < 8:
        return shown
    kernel = {"sysname": "Linux", "release": release, "version": version, "machine": machine}
    return {**shown, "current-kernel": kernel, "boot-info": {"mode": "legacy-bios"}}


def _maker(site: Site, cpu: Mapping[str, str]) -> dict[str, str]:
    """Who made the processor: told from 9 on."""
    if site.major < 9:
        return {}
    return {"vendor": cpu.get("vendor_id", "unknown"), "family": cpu.get("cpu family", "unknown")}


def _memory(site: Site, memory: Mapping[str, int]) -> dict[str, int]:
    total, available = memory["MemTotal"], memory.get("MemAvailable", 0)
    shown = {"total": total, "free": memory.get("MemFree", 0), "used": total - available}
    return shown if site.major < 9 else {**shown, "available": available}


def time(call: Call) -> object:
    """GET /nodes/{node}/time; ``localtime`` is the wall clock read as if it were UTC."""
    zone = read(call.site, "/etc/timezone").strip() or call.site.timezone
    now = call.site.now()
    offset = datetime.fromtimestamp(now, call.site.zone).utcoffset()
    return {"timezone": zone, "time": now, "localtime": now + int(offset.total_seconds() if offset else 0)}


def dns(call: Call) -> object:
    """GET /nodes/{node}/dns: resolv.conf."""
    text = read(call.site, "/etc/resolv.conf")
    shown = {
        f"dns{number}": server
        for number, server in enumerate(re.findall(r"^nameserver\s+(\S+)", text, re.MULTILINE)[:3], 1)
    }
    if search := re.search(r"^(?:search|domain)\s+(\S+)", text, re.MULTILINE):
        shown["search"] = search[1]
    return shown


def config(_call: Call) -> object:
    """GET /nodes/{node}/config: the node has no options of its own."""
    return {}


def subscription(call: Call) -> object:
    """GET /nodes/{node}/subscription: there is none."""
    shown = {
        "status": "notfound",
        "message": "There is no subscription key",
        "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
    }
    audited = call.check(f"/nodes/{call.params['node']}", "Sys.Audit", noerr=True)
    return {**shown, "serverid": None} if audited else shown


def _service_names(site: Site) -> list[str]:
    route = site.schema.routes["GET /nodes/{node}/services/{service}/state"]
    return [str(name) for name in route.parameters["service"]["enum"]]


def _services(site: Site, names: list[str]) -> list[dict[str, Any]]:
    units = [f"{UNITS.get(name, name)}.service" for name in names]
    blocks = run(site, "systemctl", "show", "--no-pager", f"--property={PROPERTIES}", *units).strip().split("\n\n")
    return [_service(name, block) for name, block in zip(names, blocks, strict=True)]


def _service(name: str, block: str) -> dict[str, Any]:
    facts = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    loaded = facts.get("LoadState", "not-found")
    state = loaded if loaded in {"not-found", "masked"} else facts.get("UnitFileState") or "unknown"
    return {
        "service": name,
        "name": name,
        "desc": facts.get("Description", ""),
        "state": facts.get("SubState", "unknown"),
        "active-state": facts.get("ActiveState", "unknown"),
        "unit-state": state,
    }


def services(call: Call) -> object:
    """GET /nodes/{node}/services."""
    return _services(call.site, _service_names(call.site))


def service_state(call: Call) -> object:
    """GET /nodes/{node}/services/{service}/state."""
    return _services(call.site, [call.params["service"]])[0]


def fingerprint(pem: str) -> str:
    """SHA-256 fingerprint of a certificate as Proxmox prints it."""
    digest = x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex().upper()
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))


def certificates(call: Call) -> object:
    """GET /nodes/{node}/certificates/info: what the API itself is served with."""
    pem = call.site.certificate
    if not pem:
        return []
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    key = certificate.public_key()
    kind, bits = ("rsaEncryption", key.key_size) if isinstance(key, rsa.RSAPublicKey) else ("id-ecPublicKey", 256)
    return [
        {
            "filename": "pve-ssl.pem",
            "fingerprint": fingerprint(pem),
            "subject": _name(certificate.subject),
            "issuer": _name(certificate.issuer),
            "notbefore": int(certificate.not_valid_before_utc.timestamp()),
            "notafter": int(certificate.not_valid_after_utc.timestamp()),
            "san": [str(name.value) for name in names],
            "public-key-type": kind,
            "public-key-bits": bits,
            "pem": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        }
    ]


def _name(name: x509.Name) -> str:
    return "".join(f"/{part.rfc4514_attribute_name}={part.value!s}" for part in name)
