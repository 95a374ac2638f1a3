"""Feasibility reviews: criteria, services, outcomes and the author's answer."""
