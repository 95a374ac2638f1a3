"""The communes and arrondissements, held in memory: names, shapes, and which one holds a point."""

import hashlib
import math
import threading
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import shapely
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from shapely import Point, STRtree
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine, text

from gateway.caching import not_modified
from gateway.errors import OutsideCountry, UnknownCommune
from services.common.problems import Unavailable, responses

#: Seconds between looks at whether other boundaries were imported.
FRESH = 30.0

_VERSION = text("SELECT data || '/' || boundaries || '/' || loaded_at FROM reference.version")
_COMMUNES = text(
    "SELECT code, name, aliases, department, population_2013 AS population, "
    "ST_AsBinary(geom) AS shape, ST_AsBinary(outline) AS outline, "
    "ST_AsBinary(coalesce(town, ST_PointOnSurface(geom))) AS center "
    "FROM reference.communes ORDER BY code"
)
_ARRONDISSEMENTS = text(
    "SELECT code, name, commune_code AS commune, population_2013 AS population, "
    "ST_AsBinary(geom) AS shape FROM reference.arrondissements ORDER BY code"
)
_COUNTRY = text("SELECT ST_AsBinary(geom) FROM reference.country")


@dataclass(frozen=True, slots=True)
class Commune:
    """A commune: ``bbox`` is west, south, east, north; ``center`` its town, lon, lat."""

    code: str
    name: str
    department: str
    population: int
    bbox: tuple[float, float, float, float]
    center: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Arrondissement:
    """A part of a commune."""

    code: str
    name: str
    commune: str
    population: int


@dataclass(frozen=True, slots=True)
class Located:
    """Where a point lies; ``exact`` is False just outside the outlines, by the nearest commune."""

    commune: Commune
    arrondissement: Arrondissement | None
    exact: bool


class Geography:
    """One version of the reference geography."""

    def __init__(
        self,
        version: str,
        communes: Sequence[Mapping[str, Any]],
        arrondissements: Sequence[Mapping[str, Any]],
        country: bytes,
    ) -> None:
        self.etag = hashlib.sha256(version.encode()).hexdigest()[:20]
        self.version = version
        self.shapes = {row["code"]: shapely.from_wkb(bytes(row["shape"])) for row in communes}
        self.outlines = {row["code"]: shapely.from_wkb(bytes(row["outline"])) for row in communes}
        self.parts = {row["code"]: shapely.from_wkb(bytes(row["shape"])) for row in arrondissements}
        self.communes = {row["code"]: _commune(row, self.shapes[row["code"]]) for row in communes}
        self.arrondissements = {
            row["code"]: Arrondissement(
                *(row[n] for n in ("code", "name", "commune", "population"))
            )
            for row in arrondissements
        }
        self.country = shapely.from_wkb(bytes(country))
        shapely.prepare(self.country)
        self.folded = {
            row["code"]: tuple(fold(name) for name in (row["name"], *row["aliases"]))
            for row in communes
        }
        self._tree = STRtree(list(self.shapes.values()))
        self._codes = list(self.shapes)
        self._part_tree = STRtree(list(self.parts.values()))
        self._part_codes = list(self.parts)

    def locate(self, lon: float, lat: float) -> Located | None:
        """Return where a point (degrees, WGS 84) lies; None when it is not in the country."""
        point = Point(lon, lat)
        if not self.country.covers(point):
            return None
        held = sorted(self._tree.query(point, predicate="covered_by"))
        exact = bool(held)
        code = self._codes[held[0] if held else self._tree.nearest(point)]
        parts = sorted(
            self._part_codes[i] for i in self._part_tree.query(point, predicate="covered_by")
        )
        part = next((p for p in parts if self.arrondissements[p].commune == code), None)
        return Located(self.communes[code], self.arrondissements[part] if part else None, exact)


def _commune(row: Mapping[str, Any], shape: BaseGeometry) -> Commune:
    west, south, east, north = (round(float(v), 5) for v in shape.bounds)
    center = shapely.from_wkb(bytes(row["center"]))
    return Commune(
        row["code"],
        row["name"],
        row["department"],
        row["population"],
        (west, south, east, north),
        (round(center.x, 5), round(center.y, 5)),
    )


def fold(name: str) -> str:
    """Return ``name`` in lower case, without accents, hyphens or double spaces."""
    plain = unicodedata.normalize("NFD", name.casefold())
    letters = (c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return " ".join("".join(letters).split())


class Places:
    """The reference geography as it is now: read once, and again after an import."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._held: Geography | None = None
        self._looked = -math.inf

    def now(self) -> Geography:
        """Return the geography; :class:`Unavailable` before the communes were ever loaded."""
        if self._held is None or time.monotonic() - self._looked > FRESH:
            with self._lock:
                if self._held is None or time.monotonic() - self._looked > FRESH:
                    self._held = self._read(self._held)
                    self._looked = time.monotonic()
        return self._held

    def communes(self) -> list[Commune]:
        """Return every commune, by code."""
        return list(self.now().communes.values())

    def commune(self, code: str) -> Commune:
        """Return one; :class:`UnknownCommune`."""
        try:
            return self.now().communes[code]
        except KeyError:
            raise UnknownCommune from None

    def arrondissements(self, code: str) -> list[Arrondissement]:
        """Return the arrondissements of a commune, by code."""
        return [a for a in self.now().arrondissements.values() if a.commune == code]

    def search(self, name: str) -> list[Commune]:
        """Return communes by name or alias, accents ignored: those that start with it first."""
        wanted = fold(name)
        geography = self.now()
        ranked = [
            (min((n.find(wanted) for n in names if wanted in n), default=-1), names[0], code)
            for code, names in geography.folded.items()
        ]
        found = sorted((min(at, 1), first, code) for at, first, code in ranked if at >= 0)
        return [geography.communes[code] for _, _, code in found]

    def _read(self, held: Geography | None) -> Geography:
        with self._engine.connect() as connection:
            version = connection.scalar(_VERSION)
            if version is None:
                raise Unavailable("The communes are not loaded yet.")
            if held is not None and held.version == version:
                return held
            return Geography(
                version,
                [row._asdict() for row in connection.execute(_COMMUNES)],
                [row._asdict() for row in connection.execute(_ARRONDISSEMENTS)],
                connection.execute(_COUNTRY).scalar_one(),
            )


def places(request: Request) -> Places:
    """Return the process's places."""
    found: Places = request.app.state.places
    return found


PlacesDep = Annotated[Places, Depends(places)]
router = APIRouter(prefix="/api/v1/communes", tags=["places"])

Lon = Annotated[float, Query(ge=-180, le=180, allow_inf_nan=False)]
Lat = Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False)]


@router.get("", response_model=list[Commune])
def list_communes(request: Request, places: PlacesDep) -> Response:
    """The communes, by code."""
    return _kept(request, places, [asdict(c) for c in places.communes()])


@router.get("/locate", responses=responses(OutsideCountry))
def locate(lon: Lon, lat: Lat, places: PlacesDep) -> dict[str, Any]:
    """Which commune and arrondissement hold a point."""
    geography = places.now()
    found = geography.locate(lon, lat)
    if found is None:
        if geography.locate(lat, lon):
            raise OutsideCountry(
                "This point is in no commune of Bénin; lon and lat look swapped.", swapped=True
            )
        raise OutsideCountry
    part = found.arrondissement
    return {
        "code": found.commune.code,
        "name": found.commune.name,
        "department": found.commune.department,
        "arrondissement": {"code": part.code, "name": part.name} if part else None,
        "exact": found.exact,
    }


@router.get("/{code}", responses=responses(UnknownCommune))
def get_commune(code: str, request: Request, places: PlacesDep) -> Response:
    """One commune with its arrondissements."""
    commune = places.commune(code)
    parts = [asdict(a) for a in places.arrondissements(code)]
    return _kept(request, places, {**asdict(commune), "arrondissements": parts})


def _kept(request: Request, places: Places, content: Any) -> Response:
    headers = {"ETag": f'W/"{places.now().etag}"', "Cache-Control": "public, max-age=300"}
    return not_modified(request, headers) or JSONResponse(content, headers=headers)
