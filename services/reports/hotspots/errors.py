"""What hotspots may refuse."""

from services.common.problems import Conflict, NotFound


class HotspotNotFound(NotFound):
    """There is no such hotspot."""

    code = "hotspot_not_found"


class ProposalRecorded(Conflict):
    """Another proposal was drafted from this hotspot."""

    code = "proposal_recorded"
