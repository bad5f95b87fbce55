"""Typed settings: what is fixed for a process, read once from the environment (`ROUTING_*`).

What may change while the product runs is configuration, not settings: see `shared/configuration.py`.
"""

import base64
import ipaddress
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, IPvAnyAddress, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_DIR = Path(__file__).resolve().parent.parent
DEFAULT_DATA_DIR = PROJECT_DIR / "data"
LEAST_SECRET_BYTES, MOST_SECRET_BYTES = 24, 64  # of a webhook's secret, by Standard Webhooks


class Settings(BaseSettings):
    """Every setting of one process, with its unit in its name and its default beside it."""

    # Some values are secrets: an error names the setting and the rule, never the value.
    model_config = SettingsConfigDict(env_prefix="ROUTING_", frozen=True, extra="ignore", hide_input_in_errors=True)

    data_dir: Path = Field(DEFAULT_DATA_DIR, description="Everything this instance writes lies below it.")
    models_dir: Path | None = Field(None, description="Installed versions; models/ for the default data directory.")
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite below the data directory.")
    storage_connection: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("ROUTING_STORAGE_CONNECTION", "AzureWebJobsStorage"),
        description="Connection string of blob and queue storage; empty: `up` starts its own and says where.",
    )
    storage_api_version: str = Field("", description="Storage API version to ask for; empty: the SDK's own.")

    profile: str = Field("demo", description="Mapping profile: a name in config/profiles or a path to a YAML file.")
    source: str = Field("", description="Folder that the profile reads; empty: <data-dir>/sources/<profile>.")

    erp_connection: SecretStr = Field(
        SecretStr(""), description="ODBC connection string of the ERP, read instead of a folder."
    )

    lookup_timeout_seconds: float = Field(
        2.0, gt=0, le=60, description="How long a prediction waits for the ERP about codes that the model lacks."
    )

    extract_schedule: str = Field("0 0 1 * * *", description="NCRONTAB schedule of the extract.")
    quality_schedule: str = Field("0 0 2 * * *", description="NCRONTAB schedule of the quality cycle.")
    training_schedule: str = Field("0 0 3 * * 0", description="NCRONTAB schedule of the refit.")
    sweep_schedule: str = Field("*/20 * * * * *", description="NCRONTAB schedule of the sweep.")

    alert_webhook: SecretStr = Field(
        SecretStr(""), description="http(s) URL that alerts are posted to as JSON; empty: none. It may hold a secret."
    )
    alert_webhook_secret: SecretStr = Field(
        SecretStr(""), description="Signs what is posted: whsec_ and 24 to 64 random bytes in base64; empty: unsigned."
    )

    bind_address: str = Field("127.0.0.1", description="Address that the host listens on.")
    storage_bind_address: IPvAnyAddress = Field(
        ipaddress.IPv4Address("127.0.0.1"), description="IP address that the storage started by `up` listens on."
    )
    open_reads: bool | None = Field(None, description="Reads and predictions without a key; unset: on loopback only.")
    session_hours: float = Field(12.0, gt=0, le=168, description="How long a browser stays signed in.")
    allow_unsigned: bool = Field(False, description="Accept unsigned packages; every health answer then says so.")

    lease_seconds: float = Field(30.0, gt=0, description="How long a claim holds without a heartbeat.")
    heartbeat_seconds: float = Field(10.0, gt=0, description="How often a worker renews its claim.")
    training_budget_seconds: float = Field(6000.0, gt=0, description="A job's limit, below host.json functionTimeout.")
    package_deadline_hours: float = Field(24.0, gt=0, description="How long an incomplete package is waited for.")
    active_poll_seconds: float = Field(1.0, gt=0, description="How often serving looks for another active version.")
    log_level: str = Field(
        "INFO", pattern="(?i)^(debug|info|warning|error|critical)$", description="Least severe level that is logged."
    )

    @field_validator("alert_webhook")
    @classmethod
    def _a_webhook_is_an_address(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and (problem := why_not_a_webhook(url.get_secret_value())):
            raise ValueError(problem)
        return url

    @field_validator("alert_webhook_secret")
    @classmethod
    def _a_webhook_secret_is_long_enough(cls, secret: SecretStr) -> SecretStr:
        if secret.get_secret_value():
            webhook_key(secret.get_secret_value())
        return secret

    @model_validator(mode="after")
    def _heartbeat_below_lease(self) -> "Settings":
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError("ROUTING_HEARTBEAT_SECONDS must be at most half of ROUTING_LEASE_SECONDS")
        return self

    @property
    def database(self) -> str:
        """The database's URL, SQLite below the data directory unless set."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'routing.db').as_posix()}"

    @property
    def models(self) -> Path:
        """The folder of installed model versions; never shared by two data directories."""
        if self.models_dir is not None:
            return self.models_dir
        return PROJECT_DIR / "models" if self.data_dir == DEFAULT_DATA_DIR else self.data_dir / "models"

    @property
    def snapshots(self) -> Path:
        """The folder of extracted snapshots."""
        return self.data_dir / "snapshots"

    @property
    def mirrors(self) -> Path:
        """The folder of copies of the ERP's rows, kept so that the next extract reads only what changed."""
        return self.data_dir / "mirror"

    @property
    def keys(self) -> Path:
        """The folder of signing keys, trusted keys and the administrator key (0700)."""
        return self.data_dir / "keys"

    @property
    def administrator_key(self) -> Path:
        """The file that holds the administrator's key, for commands on this machine (0600)."""
        return self.keys / "administrator.key"

    @property
    def storage_account(self) -> Path:
        """The file of name and keys of the instance's own storage (0600)."""
        return self.keys / "storage.json"

    @property
    def logs(self) -> Path:
        """The folder of log files."""
        return self.data_dir / "logs"

    @property
    def quarantine(self) -> Path:
        """The folder where packages lie before every check has passed."""
        return self.data_dir / "quarantine"

    @property
    def source_folder(self) -> Path:
        """The folder that the profile's files are read from."""
        return Path(self.source) if self.source else self.data_dir / "sources" / Path(self.profile).stem

    @property
    def reads_are_open(self) -> bool:
        """Whether reads, predictions and summaries are answered without a key."""
        if self.open_reads is not None:
            return self.open_reads
        try:
            return ipaddress.ip_address(self.bind_address).is_loopback
        except ValueError:
            return self.bind_address == "localhost"


def why_not_a_webhook(url: str) -> str | None:
    """Return why alerts cannot be posted to `url`, without quoting it, or None when they can."""
    if not re.fullmatch(r"[!-~]{1,2000}", url):
        return "must be a URL of at most 2,000 printable ASCII characters"
    try:
        parts = urlsplit(url)
        has_host, _port = bool(parts.hostname), parts.port
    except ValueError:
        return "must be a URL with a host and, at most, a port"
    if parts.scheme.lower() not in ("http", "https") or not has_host:
        return "must begin with http:// or https:// and name a host"
    return None


def webhook_key(secret: str) -> bytes:
    """Return the bytes of a webhook's secret as Standard Webhooks writes it; `whsec_` may be left out.

    Raises:
        ValueError: it is no base64 of 24 to 64 bytes; the secret is not quoted.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not LEAST_SECRET_BYTES <= len(key) <= MOST_SECRET_BYTES:
        raise ValueError(f"must be whsec_ and {LEAST_SECRET_BYTES} to {MOST_SECRET_BYTES} random bytes in base64")
    return key


@cache
def current_settings() -> Settings:
    """Return the process's settings, read from the environment on the first call."""
    return Settings()
