"""Where photos, voice notes and documents are kept."""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class MediaSettings(BaseSettings):
    """``PALABRE_MEDIA_…``: a folder of this machine, or a bucket of any S3-compatible store.

    Without keys the usual places of AWS credentials are asked; without an endpoint, AWS itself.
    """

    model_config = SettingsConfigDict(
        env_prefix="PALABRE_MEDIA_",
        env_ignore_empty=True,
        env_file=os.environ.get("PALABRE_ENV_FILE", ".palabre/env"),
        extra="ignore",
        frozen=True,
    )

    storage: Literal["disk", "s3"] = "disk"
    dir: Path = Path(".palabre/media")
    s3_bucket: str = ""
    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.storage == "s3" and not self.s3_bucket:
            raise ValueError("PALABRE_MEDIA_STORAGE=s3 needs PALABRE_MEDIA_S3_BUCKET")
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            raise ValueError("PALABRE_MEDIA_S3_ACCESS_KEY and _SECRET_KEY go together")
        return self
