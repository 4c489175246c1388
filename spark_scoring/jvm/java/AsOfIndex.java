package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.catalyst.util.TypeUtils;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import scala.math.Ordering;

/**
 * The answers of an as-of join over one key, by the instant from which each is the answer.
 *
 * Argument: array of struct(from, time, known, take struct, zero ranks of the taken columns).
 * Result: struct(from, until, one array for each taken column); an answer holds while from <= instant <= until.
 */
public class AsOfIndex extends Bound {
  private static final int FROM = 0, TIME = 1, KNOWN = 2, TAKE = 3, ZEROS = 4;
  private final long maxAge;

  AsOfIndex(String text) {
    super(text);
    this.maxAge = Long.parseLong(text);
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
    Ordering takes = TypeUtils.getInterpretedOrdering(take);
    InternalRow[] rows = Items.sorted(items, type, FROM, TIME);
    long[] from = new long[rows.length], until = new long[rows.length];
    InternalRow[][] chosen = new InternalRow[rows.length][];
    int n = 0;
    InternalRow best = null;
    InternalRow[] sources = null;
    for (int i = 0; i < rows.length; i++) {
      int order = best == null ? 1 : compare(rows[i], best, take.length(), takes);
      if (order > 0) best = rows[i];
      if (order >= 0) sources = order > 0 ? all(best, take.length()) : plusZeros(sources, rows[i]);
      long start = rows[i].getLong(FROM);
      if (n == 0 || from[n - 1] != start) n++;
      from[n - 1] = start;
      until[n - 1] = maxAge < 0 ? Long.MAX_VALUE : best.getLong(TIME) + maxAge;
      chosen[n - 1] = sources;
    }
    Object[] result = new Object[2 + take.length()];
    result[0] = longs(from, n);
    result[1] = longs(until, n);
    for (int i = 0; i < take.length(); i++) result[2 + i] = column(chosen, n, i, take.fields()[i].dataType());
    return new GenericInternalRow(result);
  }

  private static int compare(InternalRow a, InternalRow b, int width, Ordering takes) {
    int order = Long.compare(a.getLong(TIME), b.getLong(TIME));
    if (order == 0) order = Long.compare(a.getLong(KNOWN), b.getLong(KNOWN));
    return order != 0 ? order : takes.compare(a.getStruct(TAKE, width), b.getStruct(TAKE, width));
  }

  private static InternalRow[] all(InternalRow row, int width) {
    InternalRow[] sources = new InternalRow[width];
    for (int i = 0; i < width; i++) sources[i] = row;
    return sources;
  }

  /** Rows that tie can still differ in the sign of a zero: then each column's 0.0 wins for itself. */
  private InternalRow[] plusZeros(InternalRow[] sources, InternalRow other) {
    StructType zeros = (StructType) items(0).fields()[ZEROS].dataType();
    InternalRow[] merged = (InternalRow[]) sources.clone();
    for (int i = 0; i < merged.length; i++) {
      DataType type = zeros.fields()[i].dataType();
      Object there = merged[i].getStruct(ZEROS, zeros.length()).get(i, type);
      Object here = other.getStruct(ZEROS, zeros.length()).get(i, type);
      boolean greater = here != null && (there == null || TypeUtils.getInterpretedOrdering(type).compare(here, there) > 0);
      if (greater) merged[i] = other;
    }
    return merged;
  }

  private static ArrayData column(InternalRow[][] chosen, int n, int i, DataType type) {
    Object[] values = new Object[n];
    for (int row = 0; row < n; row++) {
      InternalRow take = chosen[row][i].getStruct(TAKE, chosen[row].length);
      values[row] = take.isNullAt(i) ? null : take.get(i, type);
    }
    return new GenericArrayData(values);
  }

  static ArrayData longs(long[] values, int n) {
    return UnsafeArrayData.fromPrimitiveArray(n == values.length ? values : java.util.Arrays.copyOf(values, n));
  }
}
