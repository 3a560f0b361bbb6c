"""The Proxmox VE API: read by anyone, written only through a guard; tasks waited for by their UPID."""

from backup_standard.pve.client import Permit, Pve, PveWriter
from backup_standard.pve.tasks import TaskResult

__all__ = ["Permit", "Pve", "PveWriter", "TaskResult"]
