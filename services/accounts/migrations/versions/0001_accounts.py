"""Users, roles, codes, sessions and the kernel's tables."""

from alembic import op

from services.common.migrate import kernel

revision = "0001"
down_revision = None


def upgrade() -> None:
    kernel(1, "accounts")
    op.execute("""
        CREATE TABLE users (
            id uuid PRIMARY KEY,
            phone text NOT NULL UNIQUE CHECK (phone ~ '^[+][0-9]{5,15}$'),
            created_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE role_grants (
            id uuid PRIMARY KEY,
            user_id uuid NOT NULL REFERENCES users,
            role text NOT NULL,
            scope text NOT NULL,
            granted_at timestamptz NOT NULL DEFAULT now(),
            UNIQUE (user_id, role, scope)
        );
        CREATE TABLE sign_in_codes (
            phone text PRIMARY KEY,
            code_hash bytea NOT NULL,
            expires_at timestamptz NOT NULL,
            tries int NOT NULL
        );
        CREATE TABLE sessions (
            id uuid PRIMARY KEY,
            user_id uuid NOT NULL REFERENCES users,
            token_hash bytea NOT NULL UNIQUE,
            expires_at timestamptz NOT NULL
        );
        CREATE INDEX ON sessions (user_id);
    """)
