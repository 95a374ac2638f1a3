"""Proposals: budget campaigns, project proposals, their review and the frozen ballot."""
