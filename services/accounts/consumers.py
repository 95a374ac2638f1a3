"""Accounts consumes no events."""
