"""Apache Kafka in one process, from its own jars."""
