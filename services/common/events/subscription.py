"""One interface, two transports: what consumes and what publishes is chosen by a setting."""

from threading import Event as Flag
from typing import Protocol

from sqlalchemy import Engine

from services.common.events.embedded import EmbeddedSubscription
from services.common.events.inbox import Consumer
from services.common.settings import Settings


class Subscription(Protocol):
    """Handles a consumer's events, in order per key, each effect once."""

    def run(self, stop: Flag) -> None:
        """Run until ``stop`` is set; return within 2 s of it."""


def subscribe(
    settings: Settings, engine: Engine, consumer: Consumer, *, version: int | None = None
) -> Subscription:
    """Return the subscription of the transport that ``settings.events`` names."""
    if settings.events == "embedded":
        return EmbeddedSubscription(engine, consumer, version=version)
    from services.common.events.kafka import KafkaSubscription  # only where there is a broker

    return KafkaSubscription(engine, consumer, settings.kafka_bootstrap_servers, version=version)
