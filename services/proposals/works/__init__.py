"""Works: milestones, journal, ledger, completion."""
