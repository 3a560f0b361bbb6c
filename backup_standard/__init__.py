"""Proves that Proxmox VE backups follow the policy and restore."""
