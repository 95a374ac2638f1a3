"""Open311 GeoReport v2: reports for other people's software, in XML and JSON."""
