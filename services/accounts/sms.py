"""Sending a text: one interface; the console adapter for development and the demonstration."""

import logging
from typing import Protocol

from services.accounts.domain import masked

log = logging.getLogger(__name__)


class SmsSender(Protocol):
    """Sends one text to one E.164 number."""

    def send(self, phone: str, body: str) -> None:
        """Hand the text over."""


class ConsoleSms:
    """Writes the text to the log, the number masked: for machines without a provider."""

    def send(self, phone: str, body: str) -> None:
        """Log the text."""
        log.info("SMS to %s: %s", masked(phone), body)


ADAPTERS: dict[str, type[SmsSender]] = {"console": ConsoleSms}
