"""What campaigns may refuse besides what proposals refuse."""

from services.common.problems import Conflict, Invalid, NotFound


class ReasonNeeded(Invalid):
    """A phase that ends before its announced end needs a reason, which is published."""

    code = "reason_needed"


class NotPlanned(Invalid):
    """The campaign's calendar has no such phase."""

    code = "not_planned"


class Shortens(Invalid):
    """A phase may be prolonged, never shortened: its new end comes after the announced one."""

    code = "shortens"


class PhaseOver(Conflict):
    """This phase is over: its dates stay as they were."""

    code = "phase_over"


class WorksUnfinished(Conflict):
    """A work of the campaign is neither completed nor abandoned."""

    code = "works_unfinished"


class RulesTightened(Conflict):
    """People propose by these rules already: from now on they may only be loosened."""

    code = "rules_tightened"


class OutsideEnvelopes(Conflict):
    """Shortlisted proposals have no envelope: give each of them one before the vote."""

    code = "outside_envelopes"


class TooManyProjects(Conflict):
    """More proposals are shortlisted than one ballot holds."""

    code = "too_many_projects"


class ForumExists(Conflict):
    """This forum was entered already: the same name on the same day."""

    code = "forum_exists"


class UnknownUnitCost(Invalid):
    """The mairie keeps no such unit cost."""

    code = "unknown_unit_cost"


class UnitCostNotFound(NotFound):
    """The mairie keeps no figure of its own for this."""

    code = "unit_cost_not_found"


class TooManyUnitCosts(Conflict):
    """The mairie keeps as many unit costs as it may."""

    code = "too_many_unit_costs"
