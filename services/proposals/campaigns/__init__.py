"""Campaigns: calendar, envelopes, rules, forums, unit costs."""
