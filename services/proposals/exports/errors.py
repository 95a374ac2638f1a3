"""What an export may refuse."""

from services.common.problems import NotFound


class UnknownExport(NotFound):
    """There are proposals, works and revisions as csv or geojson, and the ledger as csv."""

    code = "unknown_export"
