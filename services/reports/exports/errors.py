"""What an export may refuse."""

from services.common.problems import NotFound, TooLarge, Unavailable


class UnknownFormat(NotFound):
    """Reports are exported as csv, geojson or gpkg."""

    code = "unknown_format"


class TooManyForOneFile(TooLarge):
    """These are too many reports for one GeoPackage: ask for a commune or a period."""

    code = "too_many_for_one_file"


class Busy(Unavailable):
    """Other GeoPackages are being made: try again in a minute."""

    code = "busy"
