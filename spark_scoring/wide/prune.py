"""Which steps and columns of a definition somebody reads."""

from spark_scoring.spec.wide import AsOf, Columns, Lookup, Rule, Step, WideTable, Window


def steps_read(wide: WideTable, *, needed: frozenset[str] | None) -> tuple[Step, ...]:
    """The steps that add one of the `needed` columns, or what a later step or a rule reads; all if None.

    A lookup always stays: it can reject rows. A step stays whole or goes whole: one column of its `take` can
    decide ties for the others.
    """
    if needed is None:
        return wide.steps
    wanted = {name.lower() for name in needed}.union(*map(_read_by_rule, wide.rules))
    kept: list[Step] = []
    for step in reversed(wide.steps):
        added = {new.lower() for new, _ in step.take}
        if isinstance(step, Lookup) or added & wanted:
            kept.insert(0, step)
            wanted |= read_by_step(step)
    return tuple(kept)


def columns_read(wide: WideTable, *, needed: frozenset[str]) -> frozenset[str]:
    """The `needed` columns and those that a rule or a step reads on the way to them, in lower case."""
    wanted = {name.lower() for name in needed}.union(*map(_read_by_rule, wide.rules))
    for step in reversed(steps_read(wide, needed=needed)):
        if isinstance(step, Columns):
            for new, expression in reversed(step.take):
                wanted |= {name.lower() for name in expression.columns} if new.lower() in wanted else set()
        else:
            wanted |= read_by_step(step)
    return frozenset(wanted)


def _read_by_rule(rule: Rule) -> set[str]:
    return {name.lower() for name in rule.condition.columns}


def read_by_step(step: Step) -> set[str]:
    """The columns of the wide table that a step reads."""
    match step:
        case Lookup() | AsOf() | Window():
            return {left.lower() for left, _ in step.on}
        case Columns():
            return {name.lower() for _, expression in step.take for name in expression.columns}
