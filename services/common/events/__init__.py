"""The event log: CloudEvents in a transactional outbox, read by cursor or through Kafka."""
