"""The functions that an expression may call: row-local, deterministic, written so as not to raise.

One line each: name | parameters | type of the result | how it is written (default: as called).
Parameters: `?` may be left out, `*` once or more. A result is a type or a word: `same` is the common
type of the parameters called so, `first` the first's, `element` that of an array's elements.
"""

from dataclasses import dataclass

_TABLE = """
year, month, day, quarter, dayofmonth, dayofweek, dayofyear, weekday, weekofyear | date | int
hour, minute, second | timestamp | int
last_day | date | date
date_trunc | unit, timestamp | timestamp | if({1} $SAFE, date_trunc({0}, {1}), null)
trunc | date, date_unit | date
date_add, date_sub | date, int | date
datediff, date_diff | date, date | int
unix_date | day | int
date_from_unix_date | int | date
unix_seconds, unix_millis, unix_micros | timestamp | bigint
months_between | timestamp, timestamp | double | if({0} $SAFE and {1} $SAFE, months_between({0}, {1}), null)
from_utc_timestamp | timestamp, zone | timestamp | if({0} $SAFE, from_utc_timestamp({0}, {1}), null)
to_utc_timestamp | timestamp, zone | timestamp | if({0} $SAFE, to_utc_timestamp({0}, {1}), null)
to_date, try_to_date | string, format | date
to_timestamp, try_to_timestamp | string, format | timestamp
date_format | timestamp, format | string
coalesce, greatest, least | same, same* | same
nvl, ifnull | same, same | same
nullif | same, same | first
nvl2, if | boolean, same, same | same
isnull, isnotnull | any | boolean
isnan | number | boolean
nanvl | double, double | double
upper, ucase, lower, lcase, initcap | string | string
trim, ltrim, rtrim | string | string
btrim | string, string? | string
length, char_length, character_length, octet_length, bit_length, ascii | string | int
substring, substr | string, int, int? | string
left, right | string, int | string
lpad, rpad | string, count, string? | string
concat | scalar* | string
concat_ws | string, string* | string
replace | string, string, string? | string
translate | string, string, string | string
instr | string, string | int
locate | string, string | int
startswith, endswith, contains | string, string | boolean
levenshtein | string, string | int
soundex | string | string
hex | string | string
abs | number | first
sqrt, cbrt, exp, expm1, ln, log10, log2, log1p | number | double
log | number | double | ln({0})
sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, degrees, radians | number | double
sign, signum | number | double
pow, power, atan2, hypot | number, number | double
floor, ceil, ceiling | number | floor
round, bround | number, scale? | round
pmod | modulus, modulus | pmod
hash | hashed* | int
xxhash64 | hashed* | bigint
crc32 | string | bigint
md5, sha1, sha | string | string
sha2 | string, bits | string
size, cardinality | collection | int
array_size | array | int
array | same* | array
array_contains | array, element | boolean
array_position | array, element | bigint
array_min, array_max | array | element
sort_array, array_distinct | array | first
array_join | texts, string | string
get | array, int | element
element_at, try_element_at | array, int | element | try_element_at({0}, nullif(nullif({1}, 0), -2147483648))
map_keys | map | keys
map_values | map | values
map_contains_key | map, key | boolean
"""

# element_at: index 0 raises, and the least int reads outside the array and kills the JVM.
# date_trunc, months_between and the shifts of a time zone overflow near the ends of a bigint of microseconds
_SAFE = "between timestamp '0001-01-02 00:00:00Z' and timestamp '9999-12-30 23:59:59.999999Z'"

_UNSAFE_TABLE = """
reflect, java_method, try_reflect | it runs Java code
rand, random, randn, uuid, shuffle, randstr, uniform | it gives another value each time
current_date, current_timestamp, now, localtimestamp, curdate, current_time | it reads the clock
current_user, current_database, current_schema, current_timezone, user | it depends on the session
version, input_file_name, monotonically_increasing_id, spark_partition_id | it depends on the place
sum, avg, mean, min, max, count, count_distinct, first, last, stddev, variance, any_value | it aggregates rows
collect_list, collect_set, row_number, rank, dense_rank, lag, lead, ntile, median, mode | it aggregates rows
explode, posexplode, inline, stack, json_tuple | it makes several rows of one
raise_error, assert_true, make_date, make_timestamp, to_number, div | it can raise, and would fail the commit
regexp_extract, regexp_replace, regexp_like, split, regexp_count | a pattern can overflow the stack
transform, aggregate, filter, exists, forall, reduce | it takes a function
substring_index | it fails for some numbers
read_files, from_json, from_csv, from_xml, schema_of_json | it parses with options that can raise
"""


@dataclass(frozen=True, kw_only=True)
class Function:
    """One allowed function; `template` has {0}, {1} … for its arguments."""

    parameters: tuple[str, ...]
    result: str
    template: str | None

    @property
    def least(self) -> int:
        return sum(not parameter.endswith("?") for parameter in self.parameters)

    @property
    def most(self) -> int | None:
        return None if self.parameters[-1].endswith("*") else len(self.parameters)

    def parameter(self, index: int) -> str:
        """What the argument at this place must be."""
        return self.parameters[min(index, len(self.parameters) - 1)].rstrip("?*")


def _functions() -> dict[str, Function]:
    found = {}
    for line in _TABLE.replace("$SAFE", _SAFE).strip().splitlines():
        names, parameters, result, *template = (part.strip() for part in line.split("|"))
        function = Function(
            parameters=tuple(part.strip() for part in parameters.split(",")),
            result=result,
            template=template[0] if template else None,
        )
        found.update({name.strip(): function for name in names.split(",")})
    return found


FUNCTIONS = _functions()
UNSAFE = {
    name.strip(): line.split("|")[1].strip()
    for line in _UNSAFE_TABLE.strip().splitlines()
    for name in line.split("|")[0].split(",")
}
