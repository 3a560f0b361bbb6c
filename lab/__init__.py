"""The embedded lab: a site that answers as Proxmox VE does, for a machine that has none.

It never imports ``backup_standard`` and is never imported by it: the two meet over HTTPS and SSH only.
"""
