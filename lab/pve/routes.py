"""Every route the lab serves, and the function that answers it. Anything else is answered with 501.

Parameters and privileges of a route stand in the trimmed API schema (``lab/pve/schema``); a route that is not in there
cannot be served. Keep one block per handler module.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.pve import cluster
from lab.pve.call import Call

Handler = Callable[[Call], object]

ROUTES: dict[str, Handler] = {
    # cluster
    "GET /version": cluster.version,
    "GET /cluster/status": cluster.status,
    "GET /cluster/nextid": cluster.nextid,
}
