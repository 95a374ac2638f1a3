"""Endorsements, comments, abuse reports and moderation, following."""
