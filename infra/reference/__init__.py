"""Reference geography of Bénin: 77 communes and 546 arrondissements, shared read-only.

The only tables that every service may read (see docs/adr/): ``reference.communes``,
``reference.arrondissements`` and ``reference.country``.
"""

from infra.reference.tables import load

__all__ = ["load"]
