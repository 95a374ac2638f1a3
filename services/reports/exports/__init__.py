"""Open data: the columns that anybody may take away, as files, feeds and OGC features."""
