"""Settings of the reports service."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from services.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """``PALABRE_REPORTS_…``; where photos are kept: see :mod:`services.reports.media.settings`."""

    name: ClassVar[str] = "reports"

    database_url: SecretStr = Field(validation_alias="PALABRE_REPORTS_DATABASE_URL")
    port: int = Field(8002, validation_alias="PALABRE_REPORTS_PORT")
    secret: SecretStr = Field(validation_alias="PALABRE_REPORTS_SECRET")
    media_dir: Path = Path(".palabre/media")
