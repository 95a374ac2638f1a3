"""Reports consumes no events yet: what becomes of a report's place comes with the budget loop."""
