"""What the gateway itself may refuse."""

from typing import Any

from services.common.problems import DomainError, Forbidden, NotFound, Unavailable


class FormExpired(Forbidden):
    """This form is too old or was not opened here: reload the page and send it again."""

    code = "form_expired"


class OutsideCountry(NotFound):
    """This point is in no commune of Bénin."""

    code = "outside_country"


class UnknownCommune(NotFound):
    """No commune has this code."""

    code = "unknown_commune"


class ServiceDown(Unavailable):
    """A service does not answer now; try again in a moment."""

    code = "service_down"


class ServiceProblem(DomainError):
    """A service refused: its ``problem+json``, read. ``errors`` holds ``{pointer, detail}`` items.

    Left uncaught it becomes the page, or the problem, of its own ``status``.
    """

    code = "service_problem"

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: list[dict[str, Any]] | None = None,
        now: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code  # type: ignore[misc] # each problem says its own
        self.errors = errors or []
        #: What a conflict says of how things are now.
        self.now = now or {}
        self.retry_after: int | None = None

    def field(self, name: str) -> str | None:
        """Return what is wrong with the field ``name``, or None."""
        found = (e["detail"] for e in self.errors if e.get("pointer", "").strip("/") == name)
        return next(found, None)
