"""The mairie's desk: its queue, assignments, moderation, rules, targets, rounds and figures."""
