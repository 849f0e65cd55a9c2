"""The tables as they are today.

`records` is the truth; every other column about a run is an index that can be rebuilt from it.
A change here needs a migration: `scripts/revision`. What only SQLite knows (tables without a rowid,
an index over some of the rows) stands in the migrations alone: naming it here would load every
SQLite driver with `import arkor`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "kinds",
    "leases",
    "meta",
    "metadata",
    "project_states",
    "pruned",
    "records",
    "runs",
    "snapshots",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("job_id", Text, index=True),
    Column("project_root", Text, nullable=False),
    Column("org_slug", Text, nullable=False),
    Column("project_slug", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("run_key", Text),
    Column("created_at", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("settled", Boolean, nullable=False),
    # Of a log that came from a file: evidence, which nothing goes on with unasked.
    Column("imported_at", Text),
)

# NULLs are distinct in a unique index, so runs without a key are not held against each other.
Index(
    "uq_runs_run_key",
    runs.c.project_root,
    runs.c.org_slug,
    runs.c.project_slug,
    runs.c.run_key,
    unique=True,
)

# What a record is, apart from the record: there are some twenty kinds, and millions of records.
kinds = Table(
    "kinds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("type", Text, nullable=False),
    UniqueConstraint("source", "type"),
)

records = Table(
    "records",
    metadata,
    Column("run", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    # No foreign key: it would be looked up again for every record that is appended.
    Column("kind", Integer, nullable=False),
    Column("sse_id", Text),
    Column("data", Text, nullable=False),
    # Microseconds of Unix time.
    Column("recorded_at", BigInteger, nullable=False),
    # `prev_digest` is not stored: it is the digest of the record before.
    Column("digest", LargeBinary(32), nullable=False),
)

Index("ix_records_sse_id", records.c.run, records.c.sse_id)

leases = Table(
    "leases",
    metadata,
    Column("run", Integer, ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("pid_ns", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_start", Text, nullable=False),
    # Unix time, in seconds.
    Column("acquired_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

# What a log adds up to at some of its records, for whoever need not begin with the first.
snapshots = Table(
    "snapshots",
    metadata,
    Column("run", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
)

# What is left of a run whose records were removed; its row in `runs` stays.
pruned = Table(
    "pruned",
    metadata,
    Column("run", Integer, ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    Column("pruned_at", Text, nullable=False),
    Column("records", Integer, nullable=False),
    Column("head", LargeBinary(32), nullable=False),
    Column("archive", Text),
    Column("archive_sha256", Text),
)

project_states = Table(
    "project_states",
    metadata,
    Column("project_root", Text, primary_key=True),
    Column("org_slug", Text, nullable=False),
    Column("project_slug", Text, nullable=False),
    Column("project_id", Text, nullable=False),
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
