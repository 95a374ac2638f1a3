"""Shared kernel of the services: knows no domain word and imports nothing of ours."""
