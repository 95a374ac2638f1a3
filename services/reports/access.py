"""Who may know of a report, and in which capacity somebody stands before it."""

import hashlib
import hmac
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.reports import domain, repository
from services.reports.errors import ReportNotFound
from services.reports.models import Report

MANAGE = "reports.manage"


def token_hash(token: str) -> bytes:
    """Return the SHA-256 of a follow-up token (128 random bits need no salt)."""
    return hashlib.sha256(token.encode()).digest()


def is_public(report: Report) -> bool:
    """Tell whether anybody may see a report: what the view ``public_reports`` holds."""
    return report.hidden_at is None and report.status != "withdrawn"


def actors_of(
    report: Report, reader: Principal | None, token: str | None = None
) -> frozenset[domain.Actor]:
    """Return in which capacities the reader stands before this report."""
    found: set[domain.Actor] = set()
    if reader and reader.can(MANAGE, report.commune):
        found.add("mairie")
    if reader and report.reporter == reader.user_id:
        found.add("citizen")
    if token and report.follow_up_hash:
        if hmac.compare_digest(token_hash(token), report.follow_up_hash):
            found.add("citizen")
    return frozenset(found)


def get_report(
    session: Session,
    key: UUID | str,
    reader: Principal | None = None,
    token: str | None = None,
    *,
    lock: bool = False,
) -> Report:
    """Return a report by id or ref as far as ``reader`` may know of it, else ReportNotFound.

    What the mairie hid or its author withdrew is there for them alone.
    """
    report = repository.find(session, key, lock=lock)
    if report is None or not (is_public(report) or actors_of(report, reader, token)):
        raise ReportNotFound
    return report


#: What the author of a merged report may say of the one it was merged into.
SAID_OF_ALL: frozenset[domain.Status] = frozenset({"confirmed", "reopened"})


def of_merged(
    session: Session, report: Report, reader: Principal | None, token: str | None
) -> frozenset[domain.Actor]:
    """Return ``citizen`` for the author of a report merged into this one, once it is closed."""
    if not SAID_OF_ALL & set(domain.TRANSITIONS[report.status]):  # type: ignore[index]
        return frozenset()
    wrote = repository.wrote_one(
        session,
        report.id,
        reader.user_id if reader else None,
        token_hash(token) if token else None,
    )
    return frozenset({"citizen"}) if wrote else frozenset()
