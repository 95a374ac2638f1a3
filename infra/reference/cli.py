"""``palabre communes``: official boundaries in place of the shipped ones."""

import hashlib
import json
from pathlib import Path
from typing import Annotated

import shapely
import typer
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from infra.reference import boundaries, tables
from infra.reference.settings import ReferenceSettings

cli = typer.Typer(help="Boundaries of the communes.", no_args_is_help=True)

KNOWN = "SELECT code, pcode, name, aliases, ST_AsBinary(geom) FROM reference.communes ORDER BY code"


@cli.callback()
def main() -> None:
    """Boundaries of the communes."""


@cli.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="GeoJSON, GeoPackage, Shapefile or FlatGeobuf.")],
    code_field: Annotated[str | None, typer.Option(help="Field of INStaD codes or pcodes.")] = None,
    name_field: Annotated[str | None, typer.Option(help="Field of commune names.")] = None,
    crs: Annotated[str | None, typer.Option(help="For a file that says none: EPSG:32631.")] = None,
) -> None:
    """Replace commune boundaries by those of FILE, in any coordinate system.

    All or nothing: when one feature cannot be taken, nothing changes.
    """
    try:
        rows = boundaries.read(file, code_field, name_field, crs)
        engine = create_engine(ReferenceSettings().url, hide_parameters=True)
        with engine.begin() as connection:
            _replace(connection, rows, file)
    except boundaries.BoundaryError as error:
        typer.echo(f"{file}: {error}", err=True)
        raise typer.Exit(2) from error
    except SQLAlchemyError as error:
        typer.echo(f"database: {str(error).splitlines()[0]}; nothing was changed", err=True)
        raise typer.Exit(1) from error


def _replace(connection: Connection, rows: list[boundaries.Row], file: Path) -> None:
    tables.load(connection)
    known = [
        boundaries.Known(code, pcode, name, tuple(aliases), shapely.from_wkb(bytes(geom)))
        for code, pcode, name, aliases, geom in connection.execute(text(KNOWN))
    ]
    found = boundaries.match(rows, known)
    boundaries.check(found, known)
    after = {k.code: found[k.code].geom if k.code in found else k.geom for k in known}
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    source = json.dumps({"file": file.name, "sha256": digest, "communes": sorted(found)})
    tables.replace_boundaries(connection, after, source)
    for commune in known:
        if row := found.get(commune.code):
            typer.echo(f"{commune.code} {commune.name}: {row}")
    kept = [f"{k.code} {k.name}" for k in known if k.code not in found]
    typer.echo(f"{len(found)} of {len(known)} communes matched and replaced.")
    if kept:
        typer.echo(f"Not in the file, kept as they were: {', '.join(kept)}.")
