"""The point-in-time SQL of Feast's Spark store: join all earlier table rows, rank them, join the best one back.

Written anew after the shape of the template: same views, same joins, same grouping and ranking.
"""

from collections.abc import Callable

from pyspark.sql import DataFrame
from work import AsOf, Table, Work

_ENTITIES = """
    select *, t as asked_at, concat(cast(k as string), cast(t as string)) as row_key from {rows}
"""

_POINT_IN_TIME = """
    with asked as (
        select k, asked_at, row_key from entities group by k, asked_at, row_key
    ),
    features as (
        select t as known_at, k, {taken} from {table} where t <= '{last}' and t >= '{first}'
    ),
    candidates as (
        select features.*, asked.asked_at, asked.row_key
        from features join asked
        on features.k = asked.k
            and features.known_at <= asked.asked_at
            and features.known_at >= asked.asked_at - {max_age_s} * interval '1' second
    ),
    newest as (
        select row_key, known_at from (
            select *, row_number() over (partition by row_key order by known_at desc) as place from candidates
        ) where place = 1
    )
    select candidates.* from candidates join newest using (row_key, known_at)
"""


def feast_sql(work: Work, read: Callable[[Table], DataFrame]) -> DataFrame:
    """One view for each as-of step, joined to the rows by their text key."""
    rows = read(work.rows)
    spark = rows.sparkSession
    rows.createOrReplaceTempView("bench_rows")
    spark.sql(_ENTITIES.format(rows="bench_rows")).createOrReplaceTempView("entities")
    frame = spark.table("entities")
    for step in work.as_of:
        view = _step_view(read(step.table), step=step)
        frame = frame.join(view.select("row_key", *step.names()), "row_key", "left")
    return frame.select(*rows.columns, *work.added())


def _step_view(table: DataFrame, *, step: AsOf) -> DataFrame:
    spark = table.sparkSession
    table.createOrReplaceTempView(f"bench_{step.table.name}")
    # Feast too asks for the range of the entities' times before it writes its query
    span = f"min(t) - {step.max_age_s} * interval '1' second as first, max(t) as last"
    first, last = spark.sql(f"select string(first), string(last) from (select {span} from entities)").first()
    taken = ", ".join(f"{column} as {name}" for column, name in zip(step.take, step.names(), strict=True))
    query = _POINT_IN_TIME.format(
        taken=taken, table=f"bench_{step.table.name}", first=first, last=last, max_age_s=step.max_age_s
    )
    return spark.sql(query)
