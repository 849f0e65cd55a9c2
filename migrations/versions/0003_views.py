"""Views for whoever asks the journal in SQL: `v_runs`, `v_events`, `v_metrics`, and so on.

docs/sql.md describes them. No content of a record makes one fail. DuckDB parses them when it
attaches the file, and gives them back to SQLite in its own words: so no keyword of DuckDB's is a
name in them, and neither TRUE nor IN with a subquery occurs, which it rewrites to what SQLite does
not know. A later migration that changes a table drops them first and makes them again.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def text_of(microseconds: str) -> str:
    """The time as the digests cover it: RFC 3339 with microseconds."""
    seconds = f"strftime('%Y-%m-%dT%H:%M:%S', {microseconds} / 1000000, 'unixepoch')"
    return f"{seconds} || printf('.%06dZ', {microseconds} % 1000000)"


def json_of(data: str) -> str:
    """The data where it is JSON, else NULL: what SQLite's other JSON functions ask for."""
    # A NUL would end the text for SQLite's JSON functions, as it would in C.
    return (
        f"CASE WHEN typeof({data}) <> 'text' OR instr({data}, CAST(zeroblob(1) AS TEXT)) > 0 THEN NULL"
        f" WHEN json_valid({data}) THEN {data} END"
    )


def kind(source: str, type: str) -> str:
    """The number of a kind. A subquery: a join would tempt the planner to begin with it."""
    return f"(SELECT id FROM kinds WHERE source = '{source}' AND type = '{type}')"


def number(name: str) -> str:
    """A number of the JSON, as a REAL; NULL for anything else."""
    return (
        f"CASE WHEN json_type(json, '$.{name}') IN ('integer', 'real')"
        f" THEN CAST(json_extract(json, '$.{name}') AS REAL) END"
    )


def text(name: str) -> str:
    return f"CAST(json_extract(json, '$.{name}') AS TEXT)"


def whole(name: str) -> str:
    """A number of the JSON without a fraction, within 64 bits, as an INTEGER; else NULL."""
    value = f"json_extract(json, '$.{name}')"
    return (
        f"CASE WHEN json_type(json, '$.{name}') IN ('integer', 'real')"
        f" AND CAST({value} AS INTEGER) = {value} THEN CAST({value} AS INTEGER) END"
    )


def flag(name: str) -> str:
    """A true or false of the JSON, as 1 or 0; NULL for anything else."""
    return f"CASE json_type(json, '$.{name}') WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"


def json_at(name: str) -> str:
    """A part of the JSON, as JSON. (`->` would do, but SQLite has it from 3.38 on only.)"""
    kept, value = f"json_type(json, '$.{name}')", f"json_extract(json, '$.{name}')"
    return (
        f"CASE WHEN {kept} IN ('true', 'false') THEN {kept}"
        f" WHEN {kept} IS NOT NULL THEN CAST(json_quote({value}) AS TEXT) END"
    )


def notes(*types: str) -> str:
    """The local records of these types, each with its run's id and its JSON."""
    kinds = " OR ".join(f"records.kind = {kind('local', each)}" for each in types)
    return f"""
        SELECT runs.run_id AS run_id, records.seq AS seq, records.kind AS kind,
            records.recorded_at AS microseconds, {json_of("records.data")} AS json
        FROM runs JOIN records ON records.run = runs.id
        WHERE {kinds}"""


COMPLETED, FAILED = "arkor.callback.completed", "arkor.callback.failed"

ENDS = ", ".join(
    [
        kind("stream", "training.completed"),
        kind("stream", "training.failed"),
        kind("local", "arkor.reconciled"),
        kind("local", "arkor.submit.refused"),
    ]
)

VIEWS = {
    "v_runs": f"""
    SELECT run_id, name, job_id, status, settled, created_at,
        {text_of("ended")} AS ended_at,
        project_root, org_slug, project_slug, run_key, fingerprint,
        {text("base_url")} AS backend,
        CAST(coalesce(json_extract(json, '$.config.model'),
            json_extract(json, '$.job.config.model')) AS TEXT) AS model,
        {text("provenance.git.commit")} AS git_commit,
        {flag("provenance.git.dirty")} AS git_dirty,
        records, head, owner_state, owner_host, owner_pid, epoch, lease_expires_at,
        imported_at, pruned_at, archive, archive_sha256
    FROM (
        SELECT runs.*, {json_of("wish.data")} AS json,
            -- From the end, where it is: only an ended run has such a record.
            CASE WHEN runs.status IN ('completed', 'failed', 'cancelled', 'refused') THEN (
                SELECT recorded_at FROM records WHERE run = runs.id AND kind IN ({ENDS})
                ORDER BY seq DESC LIMIT 1) END AS ended,
            coalesce(last.seq, pruned.records, 0) AS records,
            lower(hex(coalesce(last.digest, pruned.head))) AS head,
            nullif(leases.state, 'released') AS owner_state,
            CASE WHEN leases.state <> 'released' THEN leases.host END AS owner_host,
            CASE WHEN leases.state <> 'released' THEN leases.pid END AS owner_pid,
            leases.epoch AS epoch,
            CASE WHEN leases.state <> 'released' THEN
                {text_of("CAST(leases.expires_at * 1000000 AS INTEGER)")} END AS lease_expires_at,
            pruned.pruned_at AS pruned_at, pruned.archive AS archive,
            pruned.archive_sha256 AS archive_sha256
        FROM runs
        LEFT JOIN leases ON leases.run = runs.id
        LEFT JOIN pruned ON pruned.run = runs.id
        LEFT JOIN records AS wish ON wish.run = runs.id AND wish.seq = 1
        LEFT JOIN records AS last ON last.run = runs.id
            AND last.seq = (SELECT max(seq) FROM records WHERE run = runs.id)
    )""",
    "v_events": f"""
    SELECT runs.run_id AS run_id, records.seq AS seq,
        {text_of("records.recorded_at")} AS recorded_at,
        kinds.source AS source, kinds.type AS type, records.sse_id AS sse_id,
        records.data AS data, {json_of("records.data")} AS json,
        lower(hex(records.digest)) AS digest
    FROM runs JOIN records ON records.run = runs.id
    LEFT JOIN kinds ON kinds.id = records.kind""",
    "v_metrics": f"""
    SELECT run_id, seq, {text_of("microseconds")} AS recorded_at,
        {whole("step")} AS step, {number("epoch")} AS epoch,
        {number("loss")} AS loss, {number("evalLoss")} AS eval_loss,
        {number("learningRate")} AS learning_rate,
        {number("samplesPerSecond")} AS samples_per_second
    FROM (
        SELECT runs.run_id AS run_id, runs.job_id AS job_id, records.seq AS seq,
            records.recorded_at AS microseconds, {json_of("records.data")} AS json
        FROM runs JOIN records ON records.run = runs.id
        WHERE records.kind = {kind("stream", "training.log")}
    )
    -- What Arkor counts as malformed is no event: no step, or another job's.
    WHERE {whole("step")} IS NOT NULL
        AND coalesce(json_extract(json, '$.jobId') = job_id, 1)""",
    "v_deliveries": f"""
    SELECT run_id, seq, {text_of("microseconds")} AS recorded_at,
        {text("consumer")} AS consumer, {text("callback")} AS callback,
        {whole("record")} AS record, {whole("attempt")} AS attempt,
        CASE WHEN kind = {kind("local", COMPLETED)} THEN 'completed'
            WHEN json_type(json, '$.interrupted') = 'true' THEN 'interrupted'
            ELSE 'failed' END AS outcome,
        coalesce({flag("done")}, 0) AS done,
        {number("seconds")} AS seconds, {text("error")} AS error
    FROM ({notes(COMPLETED, FAILED)}) WHERE json IS NOT NULL""",
    "v_steps": f"""
    SELECT run_id, seq, {text_of("microseconds")} AS recorded_at,
        {text("consumer")} AS consumer, {whole("record")} AS record,
        {text("callback")} AS callback, {whole("place")} AS place,
        {text("kind")} AS kind, {text("key")} AS key, {text("arguments")} AS arguments,
        {json_at("result")} AS result, nullif({json_at("error")}, 'null') AS error
    FROM ({notes("arkor.step.completed")}) WHERE json IS NOT NULL""",
}


def upgrade() -> None:
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")
