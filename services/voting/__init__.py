"""Voting: elections, ballots and the tally, on its own copy of the shortlisted projects."""
