"""What usual works cost: the house's figures, and those that a mairie keeps instead."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from services.common.problems import Invalid

_OWN = text("SELECT code, name, unit, cost, theme FROM unit_costs WHERE commune = :commune")


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What one ``unit`` costs, in FCFA; ``own``: the mairie's own figure."""

    code: str
    name: str
    unit: str
    cost: int
    theme: str | None = None
    own: bool = False


#: Orders of magnitude for Bénin, to begin with: a mairie puts its own in their place.
DEFAULTS: tuple[UnitCost, ...] = (
    UnitCost("lampadaire", "Lampadaire solaire", "lampadaire", 850_000, "lighting"),
    UnitCost("dalot", "Dalot de franchissement", "dalot", 4_500_000, "roads"),
    UnitCost("piste", "Piste rurale rechargée", "km", 9_000_000, "roads"),
    UnitCost("caniveau", "Caniveau couvert", "mètre", 65_000, "drainage"),
    UnitCost("classe", "Module de 3 classes équipé", "module", 28_000_000, "school"),
    UnitCost("table-banc", "Table-banc", "table-banc", 35_000, "school"),
    UnitCost("forage", "Forage équipé d'une pompe", "forage", 8_500_000, "water"),
    UnitCost("borne", "Borne-fontaine", "borne", 1_800_000, "water"),
    UnitCost("latrines", "Bloc de 4 latrines", "bloc", 4_000_000, "health"),
    UnitCost("hangar", "Hangar de marché", "hangar", 3_500_000, "market"),
)


def unit_costs(session: Session, commune: str) -> list[UnitCost]:
    """Return the unit costs of a commune by name: its own before the house's."""
    rows = session.execute(_OWN, {"commune": commune})
    own = {row.code: UnitCost(**row._mapping, own=True) for row in rows}
    found: Mapping[str, UnitCost] = {one.code: one for one in DEFAULTS} | own
    return sorted(found.values(), key=lambda one: one.name.casefold())


def estimate(
    session: Session, commune: str, lines: Sequence[tuple[str, int]]
) -> list[dict[str, Any]]:
    """Return each line (code, quantity) with its name, unit, cost and ``total`` in FCFA."""
    known = {one.code: one for one in unit_costs(session, commune)}
    found = []
    for place, (code, quantity) in enumerate(lines):
        if code not in known:
            raise Invalid("The mairie keeps no such unit cost.", f"/cost_lines/{place}/code")
        one = asdict(known[code])
        del one["own"], one["theme"]
        found.append(one | {"quantity": quantity, "total": quantity * known[code].cost})
    return found
