"""Reading a file of official commune boundaries: what it holds, and whether it can be believed.

Pure but for reading the file. Every doubt is a `BoundaryError`, with the file left to be mended:
a boundary that is wrong sends a citizen's report to another mairie.
"""

import re
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry

from infra.reference.geometry import multipolygon

# File ending -> the GDAL driver that must recognise it; what GDAL would fetch or run is left out.
FORMATS = {
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".gpkg": "GPKG",
    ".shp": "ESRI Shapefile",
    ".fgb": "FlatGeobuf",
}
MAX_FEATURES = 2_000
CODE_FIELDS = ("code", "code_com", "code_commune", "codecom", "adm2_pcode", "pcode")
NAME_FIELDS = ("name", "nom", "commune", "nom_com", "nom_commune", "adm2_fr", "adm2_name")
# Degrees around every official drawing of the country.
BENIN = shapely.box(0.6, 6.0, 4.0, 12.6)
# Two boundary sets differ by a few percent along borders. More than this share of the smaller
# commune in a neighbour's hands, or less than this share on its own known place, is a mistake.
MAX_OVERLAP = 0.05
MAX_OVERLAP_KEPT = 0.25
MIN_ON_PLACE = 0.5


class BoundaryError(Exception):
    """The file cannot be taken; the message says what is wrong with it."""


@dataclass(frozen=True)
class Known:
    """A commune as the reference has it."""

    code: str
    pcode: str
    name: str
    aliases: tuple[str, ...]
    geom: BaseGeometry


@dataclass(frozen=True)
class Row:
    """A feature of the file: its place in it from 1, its attributes, its area in WGS 84."""

    number: int
    code: str | None
    name: str | None
    geom: MultiPolygon

    def __str__(self) -> str:
        said = ", ".join(value for value in (self.code, self.name) if value)
        return f"feature {self.number} ({said or 'no code, no name'})"


def fold(name: str) -> str:
    """Return a name without accents, case or punctuation: what two spellings share.

    >>> fold("Sèmè-Kpodji") == fold("SEME KPODJI")
    True
    """
    plain = unicodedata.normalize("NFKD", name.replace("’", "'")).casefold()
    return re.sub(r"[^a-z0-9]", "", plain)


def read(
    path: Path, code_field: str | None, name_field: str | None, crs: str | None = None
) -> list[Row]:
    """Read a file of areas and bring it to WGS 84.

    code_field, name_field: the attributes to match on; by default the first that is commonly
    so named. crs: the coordinate system of a file that does not say its own.
    """
    info = _info(path)
    fields = [str(field) for field in info["fields"]]
    code_field = _field(fields, code_field, CODE_FIELDS)
    name_field = _field(fields, name_field, NAME_FIELDS)
    if code_field is None and name_field is None:
        raise BoundaryError(f"no field of codes or names; it has: {', '.join(fields) or 'none'}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what GDAL only warns of is checked below
            meta, _, wkb, columns = pyogrio.raw.read(path, columns=_present(code_field, name_field))
    except Exception as error:  # GDAL's drivers raise what they like on broken files
        raise BoundaryError(f"cannot be read: {_short(error)}") from error
    values = dict(zip(meta["fields"], columns, strict=True))
    shapes = [_area(number, data) for number, data in enumerate(wkb, 1)]
    shapes = _to_wgs84(shapes, info["crs"], crs)
    rows = [
        Row(number, _text(values, code_field, number), _text(values, name_field, number), geom)
        for number, geom in enumerate(shapes, 1)
    ]
    for row in rows:
        _check(row)
    return rows


def match(rows: Iterable[Row], known: Sequence[Known]) -> dict[str, Row]:
    """Give every feature its commune, by code or by name; return code to feature.

    Raises BoundaryError for features that match none, or that match one already taken, and
    where the code says one commune and the name another.
    """
    codes = {k.code: k.code for k in known} | {k.pcode: k.code for k in known}
    names = {fold(n): k.code for k in known for n in (k.name, *k.aliases)}
    found: dict[str, Row] = {}
    problems = []
    for row in rows:
        by_code = codes.get(row.code) if row.code else None
        by_name = names.get(fold(row.name)) if row.name else None
        code = by_code or by_name
        if code is None:
            problems.append(f"{row} matches no commune")
        elif by_code and by_name and by_code != by_name:
            problems.append(f"{row}: the code is of commune {by_code}, the name of {by_name}")
        elif code in found:
            problems.append(f"{row} and {found[code]} are both commune {code}")
        else:
            found[code] = row
    if problems:
        raise BoundaryError("; ".join(problems))
    if not found:
        raise BoundaryError("no feature in it")
    return found


def check(found: Mapping[str, Row], known: Sequence[Known]) -> None:
    """Compare the matched areas with each other and with what was known.

    Raises BoundaryError where one does not lie where its commune is, or covers another.
    """
    problems = []
    for commune in known:
        if row := found.get(commune.code):
            shared = shapely.intersection(row.geom, commune.geom).area
            if shared < MIN_ON_PLACE * min(row.geom.area, commune.geom.area):
                problems.append(f"{row} does not lie where {commune.name} is")
    after = {k.code: found[k.code].geom if k.code in found else k.geom for k in known}
    codes, shapes = list(after), np.array(list(after.values()), dtype=object)
    left, right = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    for a, b in zip(left, right, strict=True):
        new = [code for code in (codes[a], codes[b]) if code in found]
        if a >= b or not new:
            continue
        smaller = min(shapes[a].area, shapes[b].area)
        share = shapely.intersection(shapes[a], shapes[b]).area / smaller
        if share > (MAX_OVERLAP if len(new) == 2 else MAX_OVERLAP_KEPT):
            problems.append(f"communes {codes[a]} and {codes[b]} overlap by {share:.0%}")
    if problems:
        raise BoundaryError("; ".join(problems))


def _info(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise BoundaryError("not a file")
    driver = FORMATS.get(path.suffix.lower())
    if driver is None:
        raise BoundaryError(f"not one of {', '.join(FORMATS)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            info: dict[str, Any] = pyogrio.read_info(path)
            layers = pyogrio.list_layers(path)
    except Exception as error:
        raise BoundaryError(f"not {driver}: {_short(error)}") from error
    if info["driver"] != driver:
        raise BoundaryError(f"its contents are {info['driver']}, not {driver}")
    if len(layers) != 1:
        raise BoundaryError(f"it has {len(layers)} layers; keep the communes' alone")
    if not 0 < info["features"] <= MAX_FEATURES:
        raise BoundaryError(f"it has {info['features']} features")
    return info


def _field(fields: Sequence[str], asked: str | None, usual: Sequence[str]) -> str | None:
    if asked is not None:
        if asked not in fields:
            raise BoundaryError(f"no field {asked!r}; it has: {', '.join(fields) or 'none'}")
        return asked
    by_name = {field.casefold(): field for field in reversed(fields)}
    return next((by_name[name] for name in usual if name in by_name), None)


def _present(*names: str | None) -> list[str]:
    return list(dict.fromkeys(name for name in names if name is not None))


def _area(number: int, data: bytes | None) -> MultiPolygon:
    if data is None:
        raise BoundaryError(f"feature {number} has no geometry")
    try:
        geom = multipolygon(shapely.from_wkb(data))
    except (ValueError, shapely.errors.GEOSException) as error:
        raise BoundaryError(f"feature {number}: {_short(error)}") from error
    if geom.is_empty or not np.isfinite(shapely.get_coordinates(geom)).all():
        raise BoundaryError(f"feature {number} has coordinates that are not finite, or none")
    return geom


def _to_wgs84(
    shapes: Sequence[MultiPolygon], said: str | None, asked: str | None
) -> list[MultiPolygon]:
    if said is None and asked is None:
        raise BoundaryError("it does not say its coordinate system; say it with --crs EPSG:CODE")
    try:
        source = CRS.from_user_input(said or asked)
        transformer = Transformer.from_crs(source, "EPSG:4326", always_xy=True)
    except ProjError as error:
        raise BoundaryError(f"unknown coordinate system: {_short(error)}") from error

    def move(xy: Any) -> Any:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))

    moved = shapely.transform(np.array(shapes, dtype=object), move)
    return list(moved)


def _text(values: Mapping[str, Any], field: str | None, number: int) -> str | None:
    """Return an attribute as text; a code that a spreadsheet made a number gets its zeros back."""
    if field is None:
        return None
    value = values[field][number - 1]
    if value is None or value != value:
        return None
    if isinstance(value, int | float | np.number):
        return f"{int(value):04d}" if float(value).is_integer() else str(value)
    text = str(value).strip()
    return text.zfill(4) if re.fullmatch(r"[0-9]{3}", text) else text or None


def _check(row: Row) -> None:
    if not np.isfinite(shapely.get_coordinates(row.geom)).all() or not BENIN.covers(row.geom):
        west, south, east, north = (f"{v:.3f}" for v in row.geom.bounds)
        raise BoundaryError(f"{row} lies outside Bénin: {west} {south} {east} {north}")
    if not row.geom.is_valid:
        raise BoundaryError(f"{row} is not a valid area: {shapely.is_valid_reason(row.geom)}")


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
