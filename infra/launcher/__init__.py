"""Run everything on one machine."""
