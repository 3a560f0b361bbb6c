"""Every route the lab serves, and the function that answers it. Anything else is answered with 501.

Parameters and privileges of a route stand in the trimmed API schema (``lab/pve/schema``); a route that is not in there
cannot be served. Keep one block per handler module.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.pve import cluster, index, tasks_api
from lab.pve.call import Call

Handler = Callable[[Call], object]

ROUTES: dict[str, Handler] = {
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
    "GET /cluster/firewall/options": cluster.firewall_options,
    # tasks
    "GET /nodes/{node}/tasks": tasks_api.list_tasks,
    "GET /nodes/{node}/tasks/{upid}/status": tasks_api.status,
    "GET /nodes/{node}/tasks/{upid}/log": tasks_api.log,
    "DELETE /nodes/{node}/tasks/{upid}": tasks_api.stop,
}
