"""What the desk may refuse besides what reports refuse."""

from services.common.problems import Conflict, Invalid, NotFound


class NoSuchDesk(NotFound):
    """No commune has this code."""

    code = "commune_not_found"


class AgentNotFound(NotFound):
    """The commune's directory has no such agent."""

    code = "agent_not_found"


class UnknownAgent(Invalid):
    """The commune's directory has no such agent."""

    code = "unknown_agent"


class AgentBusy(Conflict):
    """Open reports are assigned to this agent: give them to somebody else first."""

    code = "agent_busy"


class Unchanged(Conflict):
    """This is what the report says already."""

    code = "unchanged"


class RulesChanged(Conflict):
    """Somebody changed these rules after you opened them: look again, then decide."""

    code = "changed_meanwhile"
