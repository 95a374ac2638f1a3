"""What is exported, in which form."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.common import sheets
from services.proposals import repository as core
from services.proposals.errors import CampaignNotFound
from services.proposals.exports import repository
from services.proposals.exports.domain import TABLES, Subject, file_name
from services.proposals.exports.errors import UnknownExport

_KEYS = 2


def name_of(session: Session, campaign_id: UUID, subject: str, form: str) -> tuple[Subject, str]:
    """Return what is asked for and the name of its file.

    :class:`CampaignNotFound` or :class:`UnknownExport` where there is none.
    """
    found: Subject | None = next((one for one in get_args(Subject) if one == subject), None)
    if found is None or form not in sheets.MEDIA_TYPES:
        raise UnknownExport
    if form == "geojson" and not TABLES[found].placed:
        raise UnknownExport
    campaign = core.find_campaign(session, campaign_id)
    if campaign is None:
        raise CampaignNotFound
    day = datetime.now(UTC).date().isoformat()
    return found, file_name(TABLES[found], campaign.commune, day, form)


def content(engine: Engine, campaign_id: UUID, subject: Subject, form: str) -> Iterator[bytes]:
    """Return the bytes of a file; nothing is read before they are asked for."""
    rows = repository.batches(engine, subject, form, campaign_id)
    if form == "geojson":
        return sheets.geojson_chunks([row[-1] for row in batch] for batch in rows)
    table = TABLES[subject]
    names = [column.name for column in table.columns]
    cells = ([row[_KEYS:] for row in batch] for batch in rows)
    return sheets.csv_chunks([*names, "lon", "lat"] if table.placed else names, cells)
