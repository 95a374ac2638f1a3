"""Use cases of hotspots. Nothing here commits: the request's session, or the chore's, does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import numpy as np
from geoalchemy2.shape import from_shape, to_shape
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.events import outbox
from services.common.events.envelope import Event, new_event
from services.common.ids import new_id, new_ref
from services.reports.access import MANAGE
from services.reports.domain import summary
from services.reports.errors import UnknownCommune
from services.reports.events import HotspotDetected, HotspotEnded
from services.reports.hotspots import domain, grid, repository, words
from services.reports.hotspots.domain import Field, Window
from services.reports.hotspots.errors import HotspotNotFound, ProposalRecorded
from services.reports.hotspots.grid import Bools, Ints, Territory
from services.reports.hotspots.models import Hotspot
from services.reports.hotspots.schemas import HotspotOut, HotspotProperties, ReportIn

SOURCE = "reports"

#: The most cells, hotspots, and reports named for each, that one answer holds.
MAX_CELLS = 1_000
MAX_HOTSPOTS = 50
MAX_REFS = 20
MAX_REPORTS = 200


@dataclass(frozen=True, slots=True)
class Survey:
    """A commune's reports over a window and the one before: the cell of each (-1: none), the
    number of its category, and whether it is of the window itself.
    """

    place: repository.Place
    land: Territory
    points: NDArray[np.void]
    cells: Ints
    recent: Bools

    def categories(self) -> list[str]:
        """Return the categories of which there are reports."""
        return [repository.CODES[number] for number in np.unique(self.points["category"])]

    def of(self, category: str | None) -> Bools:
        """Tell which reports are of a category, or of any."""
        if category is None:
            return np.ones(len(self.points), dtype=bool)
        chosen: Bools = self.points["category"] == repository.CODES.index(category)
        return chosen

    def fields(self, category: str | None) -> tuple[Field, Field]:
        """Measure a category, or all, in the window and in the one before."""
        chosen = self.of(category)
        now, before = self.cells[chosen & self.recent], self.cells[chosen & ~self.recent]
        return domain.measure(self.land, now), domain.measure(self.land, before)

    def inside(self, category: str, places: Sequence[Ints]) -> list[Ints]:
        """Return the reports in each of ``places`` (cells, no two share one), newest first."""
        owner = np.full(self.land.size + 1, -1)  # the last one for the cell -1
        for number, cells in enumerate(places):
            owner[cells] = number
        owners = np.where(self.of(category), owner[self.cells], -1)
        order = np.lexsort((-self.points["at"], owners))
        ends = np.searchsorted(owners[order], np.arange(len(places) + 1))
        return [order[start:end] for start, end in pairwise(ends)]

    def newest(self, reports: Ints) -> list[UUID]:
        """Return the ids of the first few of ``reports`` that are of the window."""
        recent = reports[self.recent[reports]][:MAX_REFS]
        return [UUID(bytes=one.tobytes()) for one in self.points["id"][recent]]

    def part(self, reports: Ints) -> str | None:
        """Return the code of the arrondissement that has most of ``reports``."""
        parts = self.points["part"][reports].astype(int)
        most = int(np.argmax(np.bincount(parts + 1)))
        return self.place.parts[most - 1].code if most else None

    def name(self, arrondissement: str | None) -> str:
        """Return what an arrondissement is called, the commune without one."""
        names = {part.code: part.name for part in self.place.parts}
        return names.get(arrondissement or "", self.place.name)


def survey(session: Session, commune: str, category: str | None, window: Window) -> Survey:
    """Read the reports of a commune; :class:`UnknownCommune` when there is no such code."""
    place = repository.place(session, commune)
    if place is None:
        raise UnknownCommune("No commune has this code.", "/commune")
    which = repository.Counted(commune, category, window.before.start, window.end)
    points = repository.points(session, which, place.parts)
    land = grid.territory(place.wkb, place.parts)
    cells = land.locate(points["lon"].astype(float), points["lat"].astype(float))
    return Survey(place, land, points, cells, points["at"] >= window.start.timestamp())


def overview(
    session: Session,
    commune: str,
    category: str | None,
    window: Window,
    today: date,
    *,
    staff: bool = False,
) -> dict[str, Any]:
    """Return a commune's cells as GeoJSON, its ranked hotspots and its silent arrondissements.

    Only ``staff`` hear of a proposal that is still a draft.

    Without a category the cells count all reports; hotspots are always of one category.
    """
    found = survey(session, commune, category, window)
    fields = found.fields(category)
    shown = shown_cells(fields[0])
    which = repository.Counted(commune, category, window.start, window.end)
    counts = repository.counts(session, which)
    when = words.period(window, today)
    stored = repository.present(session, commune) if is_detected(window, today) else []
    listed = ranked(session, found, category, fields, stored, when)
    drafts = {row.ref for row in stored if not row.proposal_submitted}
    for one in listed:
        if one["ref"] in drafts and not staff:
            one["proposal_ref"] = None
    return {
        "type": "FeatureCollection",
        "features": cell_features(found, fields, shown[:MAX_CELLS], category, window, when),
        "commune": commune,
        "category": category,
        "days": window.days,
        "since": window.since,
        "until": window.until,
        "reports": sum(counts.values()),
        "outside": int((found.cells[found.recent] < 0).sum()),
        "cells": found.land.size,
        "truncated": len(shown) > MAX_CELLS,
        "population": dict(zip(("note", "note_en"), words.POPULATION, strict=True)),
        "hotspots": listed,
        "silent": silent(found.place, counts, when),
    }


def is_detected(window: Window, today: date) -> bool:
    """Tell whether ``window`` is the one whose hotspots are stored."""
    return window == Window(today, domain.DETECTED_DAYS)


def shown_cells(field: Field) -> Ints:
    """Return the cells with a report or a finding, what matters most first."""
    cells = np.flatnonzero((field.counts > 0) | field.significant)
    strength = np.where(field.significant, abs(field.z), 0.0)[cells]
    order: Ints = np.lexsort((-field.counts[cells], -strength))
    return cells[order]


def cell_features(
    found: Survey,
    fields: tuple[Field, Field],
    cells: Ints,
    category: str | None,
    window: Window,
    when: words.Both,
) -> list[dict[str, Any]]:
    """Return ``cells`` as GeoJSON features."""
    now, before = fields
    label = words.label(category)
    names = [*(part.name for part in found.place.parts), found.place.name]
    since, until = window.since.isoformat(), window.until.isoformat()
    columns = (
        now.counts, now.sums, before.counts, now.z, now.p, now.significant, before.hot,
        found.land.people, found.land.part,
    )  # fmt: skip
    rows = zip(*(column[cells].tolist() for column in columns), strict=True)
    features = []
    for cell, ring, row in zip(
        found.land.cell_ids(cells), found.land.rings(cells), rows, strict=True
    ):
        count, around, earlier, z, p, significant, was_hot, people, part = row
        hot = significant and z > 0
        trend = domain.TRENDS[hot, was_hot]
        cold = significant and not hot
        fr, en = words.sentence(
            label, when, words.Finding(count, around, earlier, names[part], hot, cold, p, trend)
        )
        properties = {
            "cell": cell,
            "count": count,
            "z": z,
            "p": p,
            "significant": significant,
            "trend": trend,
            "per_1000": domain.per_1000(count, people),
            "sentence": fr,
            "sentence_en": en,
            "category": category,
            "since": since,
            "until": until,
        }
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append(
            {"type": "Feature", "id": cell, "geometry": geometry, "properties": properties}
        )
    return features


@dataclass(frozen=True, slots=True)
class Gathering:
    """A hotspot as it is found: ``reports`` are the survey's points in it, ``stored`` is the one
    that it was before (None: it is new, or fades).
    """

    category: str
    cluster: domain.Hotspot
    arrondissement: str | None
    lon: float
    lat: float
    per_1000: float | None
    reports: Ints
    stored: Hotspot | None


def gatherings(
    found: Survey, category: str, fields: tuple[Field, Field], stored: Sequence[Hotspot]
) -> list[Gathering]:
    """Return the hotspots of a category, strongest first, those that fade last."""
    now, before = fields
    clusters = domain.hotspots(found.land, now, before)
    rows = [row for row in stored if row.category == category]
    # Those that fade come last: the first ones keep their numbers.
    outlines = [found.land.outline(one.cells) for one in clusters if rows and one.significant]
    same = domain.overlaps(outlines, [to_shape(row.geom) for row in rows])
    inside = found.inside(category, [one.cells for one in clusters])
    gathered = []
    for number, (cluster, reports) in enumerate(zip(clusters, inside, strict=True)):
        lon, lat = domain.centre(found.land, now, cluster.cells)
        people = float(found.land.people[cluster.cells].sum())
        gathered.append(
            Gathering(
                category=category,
                cluster=cluster,
                arrondissement=found.part(reports),
                lon=lon,
                lat=lat,
                per_1000=domain.per_1000(cluster.count, people),
                reports=reports,
                stored=rows[same[number]] if number in same else None,
            )
        )
    return gathered


def ranked(
    session: Session,
    found: Survey,
    category: str | None,
    fields: tuple[Field, Field],
    stored: Sequence[Hotspot],
    when: words.Both,
) -> list[dict[str, Any]]:
    """Return the hotspots of a category or of each, strongest first, with their newest reports."""
    gathered = []
    if category:
        gathered = gatherings(found, category, fields, stored)
    else:
        for code in found.categories():
            gathered += gatherings(found, code, found.fields(code), stored)
        gathered.sort(key=lambda one: (not one.cluster.significant, -one.cluster.z))
    del gathered[MAX_HOTSPOTS:]
    ids = [found.newest(one.reports) for one in gathered]
    refs = repository.refs(session, [one for some in ids for one in some])
    return [
        _listed(found, one, [refs[i] for i in some if i in refs], when)
        for one, some in zip(gathered, ids, strict=True)
    ]


def _listed(found: Survey, one: Gathering, reports: list[str], when: words.Both) -> dict[str, Any]:
    cluster, stored = one.cluster, one.stored
    fr, en = words.sentence(
        words.label(one.category),
        when,
        words.Finding(
            reports=cluster.count,
            around=None,
            before=cluster.before,
            place=found.name(one.arrondissement),
            hot=cluster.significant,
            cold=False,
            p=cluster.p,
            trend=cluster.trend,
        ),
    )
    return {
        "ref": stored.ref if stored else None,
        "category": one.category,
        "lon": one.lon,
        "lat": one.lat,
        "cells": found.land.cell_ids(cluster.cells),
        "arrondissement": one.arrondissement,
        "count": cluster.count,
        "before": cluster.before,
        "z": cluster.z,
        "p": cluster.p,
        "significant": cluster.significant,
        "trend": cluster.trend,
        "per_1000": one.per_1000,
        "sentence": fr,
        "sentence_en": en,
        "detected_at": stored.detected_at if stored else None,
        "proposal_ref": stored.proposal_ref if stored else None,
        "reports": reports,
    }


def silent(
    place: repository.Place, counts: dict[str | None, int], when: words.Both
) -> list[dict[str, Any]]:
    """Return the arrondissements from which far fewer reports come than elsewhere."""
    parts = place.parts
    found = domain.silent(
        [counts.get(part.code, 0) for part in parts], [part.population for part in parts]
    )
    listed = []
    for one in found:
        part = parts[one.place]
        fr, en = words.silence(part.name, part.population, one, when)
        listed.append(
            {
                "arrondissement": part.code,
                "name": part.name,
                "population": part.population,
                "count": one.count,
                "expected": round(one.expected, 1),
                "per_1000": domain.per_1000(one.count, part.population),
                "p": one.p,
                "sentence": fr,
                "sentence_en": en,
            }
        )
    return listed


def detect(session: Session, now: datetime) -> list[Event]:
    """Store the hotspots of every commune and category as they are now; return what is new.

    A hotspot that is found again keeps its identity, one that is new or gone is an event. Of
    several processes at once one does it, the others nothing.
    """
    if not repository.try_lock(session):
        return []
    window = Window(domain.today(now), domain.DETECTED_DAYS)
    busy = repository.busy(session, window.start, window.end, domain.LEAST_REPORTS)
    events: list[Event] = []
    for commune in sorted({*busy, *repository.communes_with_hotspots(session)}):
        events += _detect_in(session, commune, window, now)
    outbox.append(session, events)
    return events


def _detect_in(session: Session, commune: str, window: Window, now: datetime) -> list[Event]:
    stored = repository.present(session, commune, lock=True)
    found = survey(session, commune, None, window)
    gone = {row.id: row for row in stored}
    events = []
    for category in found.categories():
        for one in gatherings(found, category, found.fields(category), stored):
            if not one.cluster.significant:
                continue
            if one.stored:
                del gone[one.stored.id]
                _update(one.stored, found, one, now)
            else:
                events.append(_begin(session, commune, found, one, now))
    return events + [_end(row, now) for row in gone.values()]


def _begin(session: Session, commune: str, found: Survey, one: Gathering, now: datetime) -> Event:
    row = Hotspot(
        id=new_id(),
        ref=_free_ref(session),
        commune=commune,
        category=one.category,
        days=domain.DETECTED_DAYS,
        detected_at=now,
        version=1,
    )
    _update(row, found, one, now)
    session.add(row)
    said = HotspotDetected(
        id=row.id,
        ref=row.ref,
        commune=commune,
        arrondissement=row.arrondissement,
        category=row.category,
        days=row.days,
        count=row.count,
        z=row.z,
        lon=one.lon,
        lat=one.lat,
        detected_at=now,
    )
    return new_event(SOURCE, row.id, commune, row.version, said)


def _free_ref(session: Session) -> str:
    """Return a ref that no hotspot has: whoever detects is alone, so it stays free."""
    while True:
        ref = new_ref("H", 5)
        if repository.find(session, ref) is None:
            return ref


def _update(row: Hotspot, found: Survey, one: Gathering, now: datetime) -> None:
    row.geom = from_shape(found.land.outline(one.cluster.cells), 4326)
    row.arrondissement = one.arrondissement
    row.count = one.cluster.count
    row.z = one.cluster.z
    row.p = one.cluster.p
    row.per_1000 = one.per_1000
    row.trend = one.cluster.trend
    row.seen_at = now


def _end(row: Hotspot, now: datetime) -> Event:
    row.ended_at = now
    row.version += 1
    said = HotspotEnded(
        id=row.id, ref=row.ref, commune=row.commune, category=row.category, ended_at=now
    )
    return new_event(SOURCE, row.id, row.commune, row.version, said)


def detect_chore(session: Session) -> None:
    """Detect hotspots, as housekeeping does every hour."""
    detect(session, datetime.now(UTC))


def detail(session: Session, ref: str, today: date, reader: Principal | None) -> HotspotOut:
    """Return a stored hotspot with the reports it counts; :class:`HotspotNotFound` for none.

    Only agents of its commune hear of a proposal that is still a draft.
    """
    row = repository.find(session, ref)
    if row is None:
        raise HotspotNotFound
    window = Window(domain.today(row.seen_at), row.days)
    fr, en = words.sentence(
        words.label(row.category),
        words.period(window, today if row.ended_at is None else date.max),
        words.Finding(
            reports=row.count,
            around=None,
            before=0,
            place=repository.name(session, row.commune, row.arrondissement),
            hot=True,
            cold=False,
            p=row.p,
            trend=row.trend,
        ),
    )
    reports = repository.inside(session, row.id, window.start, window.end, MAX_REPORTS)
    return HotspotOut(
        id=row.ref,
        geometry=repository.geojson(session, row.id),
        properties=HotspotProperties(
            ref=row.ref,
            commune=row.commune,
            arrondissement=row.arrondissement,
            category=row.category,
            days=row.days,
            since=window.since,
            until=window.until,
            count=row.count,
            z=row.z,
            p=row.p,
            per_1000=row.per_1000,
            trend=row.trend,
            sentence=fr,
            sentence_en=en,
            detected_at=row.detected_at,
            seen_at=row.seen_at,
            ended_at=row.ended_at,
            proposal_ref=row.proposal_ref
            if row.proposal_submitted or (reader and reader.can(MANAGE, row.commune))
            else None,
        ),
        reports=[
            ReportIn(
                id=report.id,
                ref=report.ref,
                category=report.category,
                status=report.status,
                summary=summary(report.description),
                created_at=report.created_at,
            )
            for report in reports
        ],
    )


def record_proposal(session: Session, ref: str, proposal_ref: str, agent: Principal) -> None:
    """Remember the proposal that was drafted from a hotspot: one for ever."""
    row = repository.find(session, ref, lock=True)
    if row is None:
        raise HotspotNotFound
    agent.require(MANAGE, row.commune)
    if row.proposal_ref not in (None, proposal_ref):
        raise ProposalRecorded(
            "Another proposal was drafted from this hotspot.", proposal_ref=row.proposal_ref
        )
    row.proposal_ref = proposal_ref
