"""Settings of the accounts service."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from services.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """``PALABRE_ACCOUNTS_…``, and ``PALABRE_SMS`` for how codes are sent."""

    name: ClassVar[str] = "accounts"

    database_url: SecretStr = Field(validation_alias="PALABRE_ACCOUNTS_DATABASE_URL")
    port: int = Field(8001, validation_alias="PALABRE_ACCOUNTS_PORT")
    signing_key_file: Path = Field(validation_alias="PALABRE_ACCOUNTS_SIGNING_KEY_FILE")
    pepper: SecretStr = Field(validation_alias="PALABRE_ACCOUNTS_PEPPER")
    sms: Literal["console"] = "console"
    access_minutes: int = 15
    session_days: int = 30
