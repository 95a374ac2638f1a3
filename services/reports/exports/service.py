"""What is exported, in which form."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO
from urllib.parse import urlencode

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.common import sheets
from services.reports import domain
from services.reports.errors import UnknownCommune
from services.reports.exports import atom, files, repository
from services.reports.exports.domain import FEED_ENTRIES, FORMATS, LOCAL
from services.reports.exports.errors import UnknownFormat
from services.reports.exports.repository import Selection, View
from services.reports.repository import FILTERS

_SELECT = {
    "csv": ", ".join(("{columns}", "ST_X(r.geom)", "ST_Y(r.geom)")),
    "geojson": "{feature}",
    "gpkg": "{columns}, ST_AsBinary(r.geom)",
}


@dataclass(frozen=True, slots=True)
class Export:
    """A file on its way: its bytes, and for a GeoPackage the file that holds them."""

    content: Iterator[bytes]
    file: IO[bytes] | None = None


def export(engine: Engine, form: str, view: View, chosen: Selection, base: str) -> Export:
    """Return the chosen reports of a view in one of :data:`FORMATS`; :class:`UnknownFormat`.

    Nothing is read before the content is asked for, save for a GeoPackage, which is made whole.
    """
    if form not in FORMATS:
        raise UnknownFormat
    columns = ", ".join(f"{view.of(column)} AS {column.name}" for column in view.columns)
    select = _SELECT[form].format(columns=columns, feature=view.feature())
    rows = repository.batches(engine, view, select, chosen, base)
    if form == "csv":
        names = [*(column.name for column in view.columns), "lon", "lat"]
        return Export(sheets.csv_chunks(names, _without_keys(rows), LOCAL))
    if form == "geojson":
        return Export(sheets.geojson_chunks([row[-1] for row in batch] for batch in rows))
    file = files.geopackage(rows, view.columns)
    return Export(files.chunks(file), file)


def _without_keys(batches: files.Batches) -> Iterator[Iterator[Sequence[object]]]:
    for rows in batches:
        yield (row[files.KEY :] for row in rows)


FEED_PATH = "/api/v1/feeds/reports.atom"


def feed(
    session: Session, commune: str | None, category: str | None, base: str
) -> tuple[bytes, datetime]:
    """Return the Atom feed of the newest reports, of all or some, and when it changed last."""
    values = {k: v for k, v in {"commune": commune, "category": category}.items() if v}
    title = "Signalements"
    if category:
        title += f" · {domain.CATEGORIES[category].fr}"
    if commune:
        name = repository.commune_name(session, commune)
        if name is None:
            raise UnknownCommune("No commune has this code.", "/commune")
        title += f" · {name}"
    query = f"?{urlencode(values)}" if values else ""
    about = atom.Feed(
        name="/".join(("signalements", *values.values())),
        title=title,
        itself=f"{base}{FEED_PATH}{query}",
        page=f"{base}/communes/{commune}/signalements" if commune else f"{base}/",
    )
    chosen = Selection([FILTERS[name] for name in values], values)
    entries = repository.newest(session, chosen, base, FEED_ENTRIES)
    return atom.document(about, entries), atom.updated(entries)
