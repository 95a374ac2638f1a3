"""Reports: problems that citizens pin on the map, and what the mairie answers."""
