"""Settings of the reports service."""

import re
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from services.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """``PALABRE_REPORTS_…``, ``PALABRE_PUBLIC_URL``; photos: ``common/media/settings.py``."""

    name: ClassVar[str] = "reports"

    database_url: SecretStr = Field(validation_alias="PALABRE_REPORTS_DATABASE_URL")
    port: int = Field(8002, validation_alias="PALABRE_REPORTS_PORT")
    secret: SecretStr = Field(validation_alias="PALABRE_REPORTS_SECRET")
    #: Where this site is, e.g. ``https://palabre.example``; empty: as the client calls us.
    public_url: str = ""

    @field_validator("public_url")
    @classmethod
    def _plain(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/?#\s@]+(/[^?#\s]*)?", value):
            raise ValueError("PALABRE_PUBLIC_URL is a web address without query or user")
        return value.rstrip("/")
