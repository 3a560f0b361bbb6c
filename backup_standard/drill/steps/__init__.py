"""The steps of a drill, a module each: a function that returns what was seen, or raises what was found wrong."""

from backup_standard.drill.steps.access import log_in
from backup_standard.drill.steps.data import check_data
from backup_standard.drill.steps.grouped import check_group
from backup_standard.drill.steps.networking import check_network
from backup_standard.drill.steps.restoring import restore
from backup_standard.drill.steps.serving import check_services
from backup_standard.drill.steps.starting import power_up

__all__ = ["check_data", "check_group", "check_network", "check_services", "log_in", "power_up", "restore"]
