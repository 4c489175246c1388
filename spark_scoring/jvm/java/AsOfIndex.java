package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.TypeUtils;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import scala.math.Ordering;

/**
 * The answers of an as-of join over one key, by the instant from which each is the answer.
 *
 * Argument: array of struct(from, take struct), or where they differ from it (from, take, time, known). Of what is
 * taken, columns with floats inside can tie and differ in the sign of a zero. Result: struct(from, until, one array for
 * each taken column); an answer holds while from <= instant <= until. The text is `max age, how far from is after time`.
 */
public class AsOfIndex extends Bound {
  private static final int FROM = 0, TAKE = 1, TIME = 2, KNOWN = 3;
  private final long maxAge, delay;

  AsOfIndex(String text) {
    super(text);
    String[] parts = text.split(",");
    maxAge = Long.parseLong(parts[0]);
    delay = Long.parseLong(parts[1]);
  }

  public String name() {
    return "as_of_index";
  }

  public DataType resultType() {
    StructType type = new StructType().add("from", DataTypes.createArrayType(DataTypes.LongType, false))
        .add("until", DataTypes.createArrayType(DataTypes.LongType, false));
    for (int i = 0; i < take().length(); i++) {
      type = type.add("take_" + i, DataTypes.createArrayType(take().fields()[i].dataType(), true));
    }
    return type;
  }

  private StructType take() {
    return (StructType) items(0).fields()[TAKE].dataType();
  }

  public InternalRow invoke(ArrayData items) {
    StructType type = items(0), take = take();
    boolean timed = type.length() > TIME;
    Ordering takes = TypeUtils.getInterpretedOrdering(take);
    InternalRow[] rows = Items.sorted(items, type, FROM);
    long[] from = new long[rows.length], until = new long[rows.length];
    InternalRow[] chosen = new InternalRow[rows.length];
    int n = 0;
    InternalRow best = null;
    for (int i = 0; i < rows.length; i++) {
      InternalRow row = rows[i];
      int order = best == null ? 1 : timed ? compare(row, best) : Long.compare(row.getLong(FROM), best.getLong(FROM));
      InternalRow values = row.getStruct(TAKE, take.length());
      if (order == 0) order = takes.compare(values, best.getStruct(TAKE, take.length()));
      if (order > 0) best = row;
      long start = row.getLong(FROM);
      if (n == 0 || from[n - 1] != start) n++;
      from[n - 1] = start;
      until[n - 1] = maxAge < 0 ? Long.MAX_VALUE : (timed ? best.getLong(TIME) : best.getLong(FROM) - delay) + maxAge;
      if (order > 0) chosen[n - 1] = values;
      else chosen[n - 1] = order == 0 ? plusZeros(latest(chosen, n), values, take) : latest(chosen, n);
    }
    Object[] result = new Object[2 + take.length()];
    result[0] = longs(from, n);
    result[1] = longs(until, n);
    for (int i = 0; i < take.length(); i++) result[2 + i] = Columns.of(chosen, n, i, take.fields()[i].dataType());
    return new GenericInternalRow(result);
  }

  /** What was chosen last: at this instant if anything was, else at the one before. */
  private static InternalRow latest(InternalRow[] chosen, int n) {
    return chosen[n - 1] != null ? chosen[n - 1] : chosen[n - 2];
  }

  private static int compare(InternalRow a, InternalRow b) {
    int order = Long.compare(a.getLong(TIME), b.getLong(TIME));
    return order != 0 ? order : Long.compare(a.getLong(KNOWN), b.getLong(KNOWN));
  }

  /** Rows that tie can still differ in the sign of a zero: then each column's 0.0 wins for itself. */
  private static InternalRow plusZeros(InternalRow there, InternalRow other, StructType take) {
    Object[] merged = new Object[take.length()];
    boolean changed = false;
    for (int i = 0; i < merged.length; i++) {
      DataType type = take.fields()[i].dataType();
      merged[i] = there.isNullAt(i) ? null : there.get(i, type);
      if (merged[i] != null && Zeros.compare(other.get(i, type), merged[i], type) > 0) {
        merged[i] = other.get(i, type);
        changed = true;
      }
    }
    return changed ? new GenericInternalRow(merged) : there;
  }

  static ArrayData longs(long[] values, int n) {
    return UnsafeArrayData.fromPrimitiveArray(n == values.length ? values : java.util.Arrays.copyOf(values, n));
  }
}
