"""Every route the lab serves, and the function that answers it. Anything else is answered with 501.

Parameters and privileges of a route stand in the trimmed API schema (``lab/pve/schema``); a route that is not in there
cannot be served. Keep one block per handler module.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.pve import (
    access_api,
    access_tokens,
    cluster,
    console,
    content,
    coverage,
    disks,
    highavail,
    index,
    jobs,
    network,
    nodelog,
    nodes,
    notifications,
    pools,
    prune,
    storage,
    tasks_api,
    vzdump,
)
from lab.pve.call import Call
from lab.pve.routes_guests import GUEST_ROUTES

Handler = Callable[[Call], object]

ROUTES: dict[str, Handler] = {
    # guests
    **GUEST_ROUTES,
    # indexes
    "GET /": index.listing,
    "GET /access": index.listing,
    "GET /cluster": index.listing,
    "GET /cluster/jobs": index.listing,
    "GET /nodes/{node}": index.listing,
    "GET /nodes/{node}/disks": index.listing,
    "GET /nodes/{node}/tasks/{upid}": index.listing,
    # cluster
    "GET /version": cluster.version,
    "GET /nodes/{node}/version": cluster.version,
    "GET /cluster/resources": cluster.resources,
    "GET /cluster/status": cluster.status,
    "GET /cluster/nextid": cluster.nextid,
    "GET /cluster/tasks": cluster.recent_tasks,
    "GET /cluster/log": cluster.log,
    "GET /cluster/options": cluster.options,
    "GET /cluster/replication": cluster.replication,
    "GET /nodes/{node}/replication": cluster.node_replication,
    "GET /cluster/firewall/options": cluster.firewall_options,
    "GET /cluster/ha/resources": highavail.list_resources,
    "GET /cluster/ha/resources/{sid}": highavail.get_resource,
    "POST /cluster/ha/resources": highavail.create_resource,
    "DELETE /cluster/ha/resources/{sid}": highavail.delete_resource,
    "GET /cluster/notifications/matchers": notifications.matchers,
    "GET /cluster/notifications/targets": notifications.targets,
    # pools
    "GET /pools": pools.list_pools,
    "POST /pools": pools.create,
    "PUT /pools": pools.update,
    "DELETE /pools": pools.delete,
    "GET /pools/{poolid}": pools.get_pool,
    "PUT /pools/{poolid}": pools.update,
    "DELETE /pools/{poolid}": pools.delete,
    # access
    "GET /access/ticket": access_api.get_ticket,
    "POST /access/ticket": access_api.create_ticket,
    "GET /access/permissions": access_api.permissions,
    "GET /access/acl": access_api.get_acl,
    "PUT /access/acl": access_api.update_acl,
    "GET /access/domains": access_api.domains,
    "PUT /access/password": access_api.change_password,
    "GET /access/users": access_api.list_users,
    "POST /access/users": access_api.create_user,
    "GET /access/users/{userid}": access_api.get_user,
    "PUT /access/users/{userid}": access_api.update_user,
    "DELETE /access/users/{userid}": access_api.delete_user,
    "GET /access/users/{userid}/token": access_tokens.list_tokens,
    "GET /access/users/{userid}/token/{tokenid}": access_tokens.get_token,
    "POST /access/users/{userid}/token/{tokenid}": access_tokens.create_token,
    "PUT /access/users/{userid}/token/{tokenid}": access_tokens.update_token,
    "DELETE /access/users/{userid}/token/{tokenid}": access_tokens.delete_token,
    "GET /access/roles": access_tokens.list_roles,
    "POST /access/roles": access_tokens.create_role,
    "GET /access/roles/{roleid}": access_tokens.get_role,
    "PUT /access/roles/{roleid}": access_tokens.update_role,
    "DELETE /access/roles/{roleid}": access_tokens.delete_role,
    "GET /access/groups": access_tokens.list_groups,
    "POST /access/groups": access_tokens.create_group,
    # node
    "GET /nodes": nodes.list_nodes,
    "GET /nodes/{node}/status": nodes.status,
    "GET /nodes/{node}/time": nodes.time,
    "GET /nodes/{node}/dns": nodes.dns,
    "GET /nodes/{node}/config": nodes.config,
    "GET /nodes/{node}/subscription": nodes.subscription,
    "GET /nodes/{node}/certificates/info": nodes.certificates,
    "GET /nodes/{node}/services": nodes.services,
    "GET /nodes/{node}/services/{service}": index.listing,
    "GET /nodes/{node}/services/{service}/state": nodes.service_state,
    "GET /nodes/{node}/syslog": nodelog.syslog,
    "GET /nodes/{node}/journal": nodelog.journal,
    "GET /nodes/{node}/network": network.list_interfaces,
    "GET /nodes/{node}/network/{iface}": network.get_interface,
    "GET /nodes/{node}/disks/list": disks.list_disks,
    "GET /nodes/{node}/disks/smart": disks.smart,
    "GET /nodes/{node}/disks/lvm": disks.lvm,
    "GET /nodes/{node}/disks/lvmthin": disks.lvmthin,
    "GET /nodes/{node}/disks/zfs": disks.zfs,
    "GET /nodes/{node}/disks/directory": disks.directory,
    # tasks
    "GET /nodes/{node}/tasks": tasks_api.list_tasks,
    "GET /nodes/{node}/tasks/{upid}/status": tasks_api.status,
    "GET /nodes/{node}/tasks/{upid}/log": tasks_api.log,
    "DELETE /nodes/{node}/tasks/{upid}": tasks_api.stop,
    # backup jobs
    "GET /cluster/backup": jobs.index,
    "POST /cluster/backup": jobs.create,
    "GET /cluster/backup/{id}": jobs.read,
    "PUT /cluster/backup/{id}": jobs.update,
    "DELETE /cluster/backup/{id}": jobs.delete,
    "GET /cluster/backup/{id}/included_volumes": coverage.included_volumes,
    "GET /cluster/backup-info": index.listing,
    "GET /cluster/backup-info/not-backed-up": coverage.not_backed_up,
    "GET /cluster/jobs/schedule-analyze": jobs.analyze,
    # backups
    "POST /nodes/{node}/vzdump": vzdump.start,
    "GET /nodes/{node}/vzdump/defaults": vzdump.defaults,
    "GET /nodes/{node}/vzdump/extractconfig": vzdump.extract_config,
    # storages
    "GET /storage": storage.config_list,
    "POST /storage": storage.create,
    "GET /storage/{storage}": storage.config_one,
    "PUT /storage/{storage}": storage.update,
    "DELETE /storage/{storage}": storage.delete,
    "GET /nodes/{node}/storage": storage.node_list,
    "GET /nodes/{node}/storage/{storage}": index.listing,
    "GET /nodes/{node}/storage/{storage}/status": storage.node_status,
    "GET /nodes/{node}/storage/{storage}/content": content.listing,
    "GET /nodes/{node}/storage/{storage}/content/{volume}": content.attributes,
    "PUT /nodes/{node}/storage/{storage}/content/{volume}": content.set_attributes,
    "DELETE /nodes/{node}/storage/{storage}/content/{volume}": content.remove,
    "GET /nodes/{node}/storage/{storage}/prunebackups": prune.dry_run,
    "DELETE /nodes/{node}/storage/{storage}/prunebackups": prune.remove,
}

WEBSOCKETS: dict[str, Callable[[Call], console.Stream]] = {
    "GET /nodes/{node}/qemu/{vmid}/vncwebsocket": console.open_stream,
    "GET /nodes/{node}/lxc/{vmid}/vncwebsocket": console.open_stream,
}
"""Routes that a client may upgrade to a websocket → the function that finds the socket behind it (or refuses)."""
