package spark_scoring.jvm;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.catalyst.util.TypeUtils;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.StructType;
import scala.math.Ordering;

/**
 * The rows of one key in the order of a window, with what makes any stretch of them cheap to aggregate.
 *
 * Argument: array of struct(time, known, order struct, further columns). Result: struct(time, known, the latest
 * known of blocks, then the arrays of each measure).
 */
public class WindowIndex extends Bound {
  private static final int TIME = 0, KNOWN = 1, ORDER = 2;
  private final Measure[] measures;

  WindowIndex(String text) {
    super(text);
    measures = Measure.all(text);
  }

  public String name() {
    return "window_index";
  }

  public DataType resultType() {
    DataType longs = DataTypes.createArrayType(DataTypes.LongType, false);
    StructType type = new StructType().add("time", longs).add("known", longs)
        .add("latest", DataTypes.createArrayType(DataTypes.IntegerType, false));
    for (int i = 0; i < measures.length; i++) type = measures[i].added(type, "m" + i + "_", typeOf(measures[i]));
    return type;
  }

  private DataType typeOf(Measure measure) {
    return measure.value < 0 ? DataTypes.BooleanType : items(0).fields()[measure.value].dataType();
  }

  public InternalRow invoke(ArrayData items) {
    InternalRow[] rows = Items.sorted(items, items(0), TIME);
    Object[] result = new Object[3 + measures.length * Measure.SLOTS];
    long[] known = longs(rows, KNOWN);
    result[0] = UnsafeArrayData.fromPrimitiveArray(longs(rows, TIME));
    result[1] = UnsafeArrayData.fromPrimitiveArray(known);
    result[2] = UnsafeArrayData.fromPrimitiveArray(Blocks.greatest(known));
    for (int i = 0; i < measures.length; i++) measure(measures[i], rows, result, place(i));
    return new GenericInternalRow(result);
  }

  /** Where the arrays of a measure begin. */
  static int place(int measure) {
    return 3 + measure * Measure.SLOTS;
  }

  private static long[] longs(InternalRow[] rows, int field) {
    long[] values = new long[rows.length];
    for (int i = 0; i < values.length; i++) values[i] = rows[i].getLong(field);
    return values;
  }

  private void measure(Measure measure, InternalRow[] rows, Object[] result, int to) {
    InternalRow[] seen = new InternalRow[rows.length];
    int[] at = new int[rows.length + 1];
    int n = 0;
    for (int i = 0; i < rows.length; i++) {
      boolean in = measure.condition < 0 || !rows[i].isNullAt(measure.condition) && rows[i].getBoolean(measure.condition);
      if (in && (measure.needs('n') || !rows[i].isNullAt(measure.value))) seen[n++] = rows[i];
      at[i + 1] = n;
    }
    // without gaps a row's place is its own
    if (n < rows.length) result[to + Measure.AT] = UnsafeArrayData.fromPrimitiveArray(at);
    seen = (InternalRow[]) Arrays.copyOf(seen, n);
    DataType type = typeOf(measure);
    if (measure.needs('s') || measure.needs('q')) sums(measure, seen, type, result, to);
    if (measure.ordered()) orders(measure, seen, type, result, to);
    if (measure.needs('v')) result[to + Measure.VALUE] = values(measure, seen, type);
  }

  private static void sums(Measure measure, InternalRow[] seen, DataType type, Object[] result, int to) {
    int n = seen.length;
    if (type instanceof DecimalType) {
      result[to + Measure.SUM] = UnsafeArrayData.fromPrimitiveArray(Exact.totals(unscaled(seen, measure.value, (DecimalType) type), n));
    } else if (Items.isFloat(type)) {
      double[] values = doubles(seen, measure.value, type);
      result[to + Measure.SUM] = UnsafeArrayData.fromPrimitiveArray(Exact.totals(values, n, false));
      if (measure.needs('q')) {
        result[to + Measure.SQUARE] = UnsafeArrayData.fromPrimitiveArray(Exact.totals(values, n, true));
      }
      result[to + Measure.ODD] = odd(values);
    } else {
      long[] values = new long[n];
      for (int i = 0; i < n; i++) values[i] = ((Number) seen[i].get(measure.value, type)).longValue();
      result[to + Measure.SUM] = UnsafeArrayData.fromPrimitiveArray(Exact.totals(values, n));
    }
  }

  private static BigInteger[] unscaled(InternalRow[] seen, int field, DecimalType type) {
    BigInteger[] values = new BigInteger[seen.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = seen[i].getDecimal(field, type.precision(), type.scale()).toJavaBigDecimal().unscaledValue();
    }
    return values;
  }

  private static double[] doubles(InternalRow[] seen, int field, DataType type) {
    double[] values = new double[seen.length];
    boolean single = type.equals(DataTypes.FloatType);
    for (int i = 0; i < values.length; i++) values[i] = single ? seen[i].getFloat(field) : seen[i].getDouble(field);
    return values;
  }

  /** The places of NaN and the infinities, which no total holds: 4 * place + 0, 1 or 2; null if there are none. */
  private static ArrayData odd(double[] values) {
    long[] places = new long[values.length];
    int n = 0;
    for (int i = 0; i < values.length; i++) {
      if (Double.isNaN(values[i])) places[n++] = 4L * i;
      else if (Double.isInfinite(values[i])) places[n++] = 4L * i + (values[i] > 0 ? 1 : 2);
    }
    return n == 0 ? null : AsOfIndex.longs(places, n);
  }

  private static void orders(Measure measure, InternalRow[] seen, DataType type, Object[] result, int to) {
    long[] keys = Items.orderKeys(seen, measure.value, type);
    result[to + Measure.ORDER] = UnsafeArrayData.fromPrimitiveArray(keys);
    if (measure.needs('l')) extremes(keys, false, result, to + Measure.LOW);
    if (measure.needs('g')) extremes(keys, true, result, to + Measure.HIGH);
    if (measure.needs('d')) result[to + Measure.BEFORE] = UnsafeArrayData.fromPrimitiveArray(before(keys, Items.isFloat(type)));
  }

  private static void extremes(long[] keys, boolean greatest, Object[] result, int to) {
    result[to] = UnsafeArrayData.fromPrimitiveArray(Extremes.within(keys, greatest));
    result[to + 1] = UnsafeArrayData.fromPrimitiveArray(Extremes.across(keys, greatest));
  }

  /** The place where each value stood before; -1 for its first. */
  private static int[] before(long[] keys, boolean zeros) {
    HashMap last = new HashMap();
    int[] before = new int[keys.length];
    for (int i = 0; i < keys.length; i++) {
      long key = zeros && keys[i] == Items.MINUS_ZERO ? Items.PLUS_ZERO : keys[i];
      Object place = last.put(Long.valueOf(key), Integer.valueOf(i));
      before[i] = place == null ? -1 : ((Integer) place).intValue();
    }
    return before;
  }

  private ArrayData values(Measure measure, InternalRow[] seen, DataType type) {
    if (!measure.needs('z') || !Zeros.holds(type)) return Columns.of(seen, seen.length, measure.value, type);
    Object[] values = new Object[seen.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = seen[i].isNullAt(measure.value) ? null : seen[i].get(measure.value, type);
    }
    plusZeros(values, seen, type);
    return new GenericArrayData(values);
  }

  /** Rows of one place can differ in the sign of a zero: of values that are equal otherwise, the one with 0.0 wins. */
  private void plusZeros(Object[] values, InternalRow[] seen, DataType type) {
    StructType order = (StructType) items(0).fields()[ORDER].dataType();
    Ordering places = TypeUtils.getInterpretedOrdering(order), equal = TypeUtils.getInterpretedOrdering(type);
    for (int i = 0, end; i < seen.length; i = end) {
      end = i + 1;
      while (end < seen.length && same(seen[i], seen[end], order.length(), places)) end++;
      // of one place there are as many values as there are signs of zeros, mostly one
      ArrayList best = new ArrayList();
      for (int j = i; end - i > 1 && j < end; j++) {
        int at = values[j] == null ? -1 : indexOf(best, values[j], equal);
        if (at < 0 && values[j] != null) best.add(values[j]);
        else if (at >= 0 && Zeros.compare(values[j], best.get(at), type) > 0) best.set(at, values[j]);
      }
      for (int j = i; end - i > 1 && j < end; j++) if (values[j] != null) values[j] = best.get(indexOf(best, values[j], equal));
    }
  }

  private static int indexOf(ArrayList values, Object value, Ordering equal) {
    for (int i = 0; i < values.size(); i++) if (equal.compare(values.get(i), value) == 0) return i;
    return -1;
  }

  private static boolean same(InternalRow a, InternalRow b, int width, Ordering ordering) {
    return a == b || a.getLong(TIME) == b.getLong(TIME) && a.getLong(KNOWN) == b.getLong(KNOWN)
        && ordering.compare(a.getStruct(ORDER, width), b.getStruct(ORDER, width)) == 0;
  }
}
