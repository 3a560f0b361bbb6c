"""What the policy demands, clause by clause, and the rules that judge each clause.

Numbers are stable: the section of the policy in its order, then the demand within it. The words are ours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Clause:
    """One demand of the policy and the ids of its rules; ids that no rule has yet are not checked yet."""

    number: str
    text: str
    rules: tuple[str, ...]


def _clause(number: str, text: str, rules: str) -> Clause:
    return Clause(number, text, tuple(rules.split()))


SECTIONS = {
    "1": "Overview",
    "2": "Philosophy",
    "3": "Targets",
    "4": "Storage",
    "5": "Schedule",
    "6": "Retention",
    "7": "Compression",
    "8": "Verification",
    "9": "Restore testing",
    "10": "Minimum requirements",
    "11": "Recommended workflow",
    "12": "Golden rules",
    "13": "Notes and examples",
}
"""The policy's sections by the first part of a clause's number."""

CLAUSES = (
    _clause("1.1", "every client deployment is backed up", "TGT-02 TGT-03"),
    _clause("1.2", "a lost guest is back within minutes, not hours", "RST-01 RST-05"),
    _clause("2.1", "backups are made every night, by themselves", "SCH-01 SCH-03"),
    _clause("2.2", "they are kept for seven days at least", "RET-01"),
    _clause("2.3", "restores are tested after major changes", "RST-11"),
    _clause("2.4", "they lie on storage of their own, on a separate disk", "STO-02 STO-05"),
    _clause("2.5", "they belong to the platform and are not an option", "TGT-01 TGT-03"),
    _clause("3.1", "the golden template is backed up", "TGT-01 TGT-02"),
    _clause("3.2", "the Docker host is backed up", "TGT-01 TGT-02"),
    _clause("3.3", "the DNS guest is backed up", "TGT-01 TGT-02"),
    _clause("3.4", "the monitoring guest is backed up", "TGT-01 TGT-02"),
    _clause("3.5", "every guest with client data is backed up, all of its data", "TGT-02 TGT-03 TGT-04"),
    _clause("3.6", "every guest that critical services need counts as mandatory", "TGT-02 TGT-03 TGT-05"),
    _clause("4.1", "backups go to a disk of their own, mounted on the node", "STO-02 STO-03 STO-04 STO-06"),
    _clause("4.2", "its mount point is /mnt/backup, for example", "STO-02 STO-03"),
    _clause("4.3", "Proxmox knows it as a storage of type dir", "STO-01"),
    _clause("4.4", "the storage is called backup-hdd, for example", "STO-06"),
    _clause("4.5", "it shares no disk pool with the guests' disks", "STO-05"),
    _clause("5.1", "backups run nightly", "SCH-01 VER-02"),
    _clause("5.2", "they start at 02:00 local time", "SCH-02 SCH-07"),
    _clause("5.3", "they run in hours of low usage", "SCH-04"),
    _clause("5.4", "the usual schedule is every day at 02:00", "SCH-01 SCH-02"),
    _clause("6.1", "the last seven days are kept at least", "RET-01 RET-03"),
    _clause("6.2", "seven archives are kept of each guest", "RET-01 RET-03"),
    _clause("6.3", "production keeps 14 to 30 days as the disk allows", "RET-04 STO-08"),
    _clause("6.4", "retention is enforced without anybody's doing", "RET-02 RET-05"),
    _clause("7.1", "archives are compressed with zstd", "CMP-01 CMP-02"),
    _clause("8.1", "a backup is valid once it was restored", "RST-01 RST-10 VER-05"),
    _clause("8.2", "the backup job's run was successful", "VER-01 VER-02"),
    _clause("8.3", "the archives are there as files", "VER-03 VER-06"),
    _clause("8.4", "Proxmox reports no errors", "VER-01 VER-04"),
    _clause("8.5", "the dump folder and the system's log are looked at, for example", "VER-03 VER-04"),
    _clause("9.1", "a restore is tested after a major change of the golden template", "RST-11"),
    _clause("9.2", "… after a major deployment on the Docker host", "RST-11"),
    _clause("9.3", "… after an upgrade of the operating system or the kernel", "RST-11"),
    _clause("9.4", "… after a change of the backup storage", "RST-11"),
    _clause("9.5", "… every quarter (recommended)", "RST-12"),
    _clause("9.6", "step 1: the latest archive is restored into a temporary VMID", "RST-01 RST-08"),
    _clause("9.7", "step 2: the restored guest boots", "RST-02"),
    _clause("9.8", "step 3: login works", "RST-03"),
    _clause("9.9", "step 4: networking works", "RST-04"),
    _clause("9.10", "step 5: the services start correctly", "RST-05 RST-06"),
    _clause("9.11", "step 6: the temporary guest is deleted", "RST-07"),
    _clause("9.12", "100 is restored into 101 and 200 into 201, for example", "RST-01"),
    _clause("9.13", "who calls a client ready has tested restores", "RST-10 RDY-01"),
    _clause("10.1", "backups run nightly", "SCH-01"),
    _clause("10.2", "retention is enforced", "RET-01 RET-02"),
    _clause("10.3", "backups are on a dedicated disk", "STO-02 STO-05"),
    _clause("10.4", "a restore drill was done at least once, and is on record", "RST-01 RST-10"),
    _clause("10.5", "it is repeated after major changes", "RST-11"),
    _clause("11.1", "a golden template is built", "TGT-01"),
    _clause("11.2", "a point to return to exists from before its major changes", "WFL-01"),
    _clause("11.3", "a backup by hand follows a major change", "WFL-02"),
    _clause("11.4", "nightly backups are switched on", "SCH-01 TGT-02"),
    _clause("11.5", "a restore drill is done", "RST-01 RST-10"),
    _clause("11.6", "the Docker host is cloned from the golden template", "WFL-03"),
    _clause("11.7", "the drill is repeated after major deployments", "RST-11"),
    _clause("12.1", "all infrastructure is backed up", "TGT-01 TGT-02"),
    _clause("12.2", "backups run nightly, with retention", "SCH-01 RET-02"),
    _clause("12.3", "backups and guests' disks are physically apart", "STO-05"),
    _clause("12.4", "backups are restored for a test after major changes", "RST-11"),
    _clause("12.5", "what was never restored is not trusted", "RST-10"),
    _clause("12.6", 'guests called "temporary" stay backed up if their data matters', "TGT-03"),
    _clause("12.7", "while the backup storage fails, the platform is degraded", "STO-07 STO-03"),
    _clause("13.1", "a backup by hand names the storage, zstd and mode snapshot, for example", "STO-06 CMP-01 SCH-08"),
    _clause("13.2", "a scheduled job does too, with its retention, for example", "STO-06 CMP-01 SCH-08 RET-01"),
    _clause("13.3", "jobs are named nightly-vm and the VMID", "SCH-05"),
    _clause("13.4", "until monitoring is there, somebody looks after the backups", "VER-08 VER-07 SCH-06"),
)
"""Every demand of the policy, in its order."""
