"""The gateway's own tables, fed by events: what maps and lists show without asking a service."""

from gateway.projections.handlers import HANDLERS
from services.common.events.inbox import Consumer

TABLES = (
    "map_reports",
    "report_cells",
    "map_proposals",
    "map_works",
    "campaigns",
    "elections",
    "results",
    "layer_versions",
)

CONSUMER = Consumer(
    group="gateway",
    sources=("reports", "proposals", "voting"),
    handlers=HANDLERS,
    projections=TABLES,
)
