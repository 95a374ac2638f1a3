"""A private PostgreSQL cluster and what Palabre needs inside it."""
