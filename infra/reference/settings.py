"""Where the reference tables are."""

from pydantic import Field, SecretStr

from services.common.settings import Settings


class ReferenceSettings(Settings):
    """The owner's address of the database: only the owner changes reference tables."""

    admin_database_url: SecretStr = Field(validation_alias="PALABRE_ADMIN_DATABASE_URL")

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the owner."""
        return self.admin_database_url.get_secret_value()
