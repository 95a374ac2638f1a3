"""Settings of the voting service."""

from typing import ClassVar

from pydantic import Field, SecretStr

from services.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """``PALABRE_VOTING_…``; the secret is required: it keeps the roll and the ballots apart."""

    name: ClassVar[str] = "voting"

    database_url: SecretStr = Field(validation_alias="PALABRE_VOTING_DATABASE_URL")
    port: int = Field(8004, validation_alias="PALABRE_VOTING_PORT")
    secret: SecretStr = Field(validation_alias="PALABRE_VOTING_SECRET", min_length=32)
