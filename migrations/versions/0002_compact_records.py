"""Records take less room; a run may have been imported, or pruned.

A record's source and type become a number in `kinds`, its time a number of microseconds. What a
digest covers is the same text as before, so no chain changes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kinds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_kinds"),
        sa.UniqueConstraint("source", "type", name="uq_kinds_source"),
    )
    op.execute("INSERT INTO kinds (source, type) SELECT DISTINCT source, type FROM records")
    op.drop_index("ix_records_sse_id", "records")
    op.rename_table("records", "records_0001")
    op.create_table(
        "records",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("sse_id", sa.Text(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_records_run"),
        sa.PrimaryKeyConstraint("run", "seq", name="pk_records"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO records"
        " SELECT run, seq, kinds.id, sse_id, data,"
        " CAST(strftime('%s', substr(recorded_at, 1, 19)) AS INTEGER) * 1000000"
        " + CAST(substr(recorded_at, 21, 6) AS INTEGER), digest"
        " FROM records_0001 JOIN kinds USING (source, type) ORDER BY run, seq"
    )
    op.drop_table("records_0001")
    op.create_index(
        "ix_records_sse_id",
        "records",
        ["run", "sse_id"],
        sqlite_where=sa.text("sse_id IS NOT NULL"),
    )
    op.add_column("runs", sa.Column("imported_at", sa.Text(), nullable=True))
    op.create_table(
        "pruned",
        sa.Column("run", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pruned_at", sa.Text(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("head", sa.LargeBinary(32), nullable=False),
        sa.Column("archive", sa.Text(), nullable=True),
        sa.Column("archive_sha256", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_pruned_run"),
        sa.PrimaryKeyConstraint("run", name="pk_pruned"),
    )
