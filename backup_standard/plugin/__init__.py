"""The pytest plugin: ``pytest --inventory FILE`` audits a site, ``pytest drills --inventory FILE`` drills its guests.

One hook family a module; the root ``conftest.py`` names this package and nothing else. The package is imported before
pytest could rewrite its assertions (it has none): PYTEST_DONT_REWRITE.
"""

pytest_plugins = [
    "backup_standard.plugin.options",
    "backup_standard.plugin.deep",
    "backup_standard.plugin.drill_options",
    "backup_standard.plugin.session",
    "backup_standard.plugin.detection",
    "backup_standard.plugin.subjects",
    "backup_standard.plugin.order",
    "backup_standard.plugin.drill_groups",
    "backup_standard.plugin.drill_fixtures",
    "backup_standard.plugin.proofs",
    "backup_standard.plugin.rules",
    "backup_standard.plugin.verdicts",
    "backup_standard.plugin.workers",
    "backup_standard.plugin.html",
    "backup_standard.plugin.terminal",
    "backup_standard.plugin.preflight",
]
