"""Hands pytest the plugin that gives it ``--inventory``, the rules' fixtures and the evidence."""

pytest_plugins = ["backup_standard.plugin"]
