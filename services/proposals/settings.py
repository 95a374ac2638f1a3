"""Settings of the proposals service."""

from typing import ClassVar

from pydantic import Field, SecretStr

from services.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """``PALABRE_PROPOSALS_…``."""

    name: ClassVar[str] = "proposals"

    database_url: SecretStr = Field(validation_alias="PALABRE_PROPOSALS_DATABASE_URL")
    port: int = Field(8003, validation_alias="PALABRE_PROPOSALS_PORT")
