"""Drills: restore an archive into a temporary VMID, check it as an operator would, delete it again.

The only package that writes to a site, and every write passes :mod:`backup_standard.drill.guard`.
"""
