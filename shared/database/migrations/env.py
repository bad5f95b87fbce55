"""What Alembic runs to apply migrations, on the connection that `shared.database.engine.migrate` hands over."""

from alembic import context
from sqlmodel import SQLModel

from shared.database import identity_tables, tables

MODULES = (identity_tables, tables)  # reading them is what fills the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    transactional_ddl=True,
    user_module_prefix=f"{tables.__name__}.",
)
with context.begin_transaction():
    context.run_migrations()
