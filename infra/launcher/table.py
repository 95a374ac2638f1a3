"""Which processes Palabre is made of: the launcher and docker-compose.yml run these, no others."""

from dataclasses import dataclass

SERVICES = ("accounts", "reports", "proposals", "voting")


@dataclass(frozen=True)
class Process:
    """One long-running command of one service."""

    service: str
    command: str
    only_with: str | None = None

    @property
    def name(self) -> str:
        """Name in logs and in docker-compose.yml; an `api` bears its service's own name."""
        return self.service if self.command == "api" else f"{self.service}-{self.command}"

    @property
    def arguments(self) -> tuple[str, str]:
        """What follows `palabre` on the command line."""
        return (self.service, self.command)


PROCESSES = (
    *(Process(service, "api") for service in (*SERVICES, "gateway")),
    *(Process(service, "consume") for service in ("reports", "proposals", "voting", "gateway")),
    *(Process(service, "relay", only_with="kafka") for service in SERVICES),
)


def processes(events: str) -> tuple[Process, ...]:
    """Return the processes that a transport needs (`embedded` or `kafka`)."""
    return tuple(process for process in PROCESSES if process.only_with in (None, events))
