package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.TypeUtils;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import scala.math.Ordering;

/** Sorting by a long first, and by Spark's own ordering of a type where longs tie. */
final class Items {
  private Items() {}

  /** The structs in the order of one field, a long, ties in Spark's order of whole structs. */
  static InternalRow[] sorted(ArrayData items, StructType type, int first) {
    InternalRow[] rows = new InternalRow[items.numElements()];
    long[] keys = new long[rows.length];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = items.getStruct(i, type.length());
      keys[i] = rows[i].getLong(first);
    }
    int[] order = order(keys, rows, TypeUtils.getInterpretedOrdering(type));
    InternalRow[] sorted = new InternalRow[rows.length];
    for (int i = 0; i < rows.length; i++) sorted[i] = rows[order[i]];
    return sorted;
  }

  /** Positions in ascending order; `values` and `ties` decide where keys are equal, and may be null. */
  static int[] order(long[] keys, Object[] values, Ordering ties) {
    int[] order = new int[keys.length];
    boolean sorted = true;
    for (int i = 0; i < order.length; i++) {
      order[i] = i;
      sorted = sorted && (i == 0 || keys[i - 1] < keys[i]);
    }
    if (!sorted) sort((int[]) order.clone(), order, 0, order.length, keys, values, ties);
    return order;
  }

  private static void sort(int[] from, int[] to, int low, int high, long[] keys, Object[] values, Ordering ties) {
    if (high - low < 2) return;
    int middle = (low + high) >>> 1;
    sort(to, from, low, middle, keys, values, ties);
    sort(to, from, middle, high, keys, values, ties);
    for (int left = low, right = middle, i = low; i < high; i++) {
      boolean second = left == middle || right < high && before(from[right], from[left], keys, values, ties);
      to[i] = second ? from[right++] : from[left++];
    }
  }

  private static boolean before(int a, int b, long[] keys, Object[] values, Ordering ties) {
    if (keys[a] != keys[b]) return keys[a] < keys[b];
    return ties != null && ties.compare(values[a], values[b]) < 0;
  }

  /** Longs in the order of the values of one field: of most types exact, of the others ranks; none is null. */
  static long[] orderKeys(InternalRow[] rows, int field, DataType type) {
    long[] keys = new long[rows.length];
    if (type.equals(DataTypes.DoubleType)) {
      for (int i = 0; i < keys.length; i++) keys[i] = orderKey(rows[i].getDouble(field));
    } else if (type.equals(DataTypes.FloatType)) {
      for (int i = 0; i < keys.length; i++) keys[i] = orderKey(rows[i].getFloat(field));
    } else if (type.equals(DataTypes.LongType) || type.equals(DataTypes.TimestampType)
        || type.equals(DataTypes.TimestampNTZType)) {
      for (int i = 0; i < keys.length; i++) keys[i] = rows[i].getLong(field);
    } else {
      return ranks(rows, field, type);
    }
    return keys;
  }

  static boolean isFloat(DataType type) {
    return type.equals(DataTypes.DoubleType) || type.equals(DataTypes.FloatType);
  }

  /** NaN is greatest and equal to itself; -0.0 comes right before 0.0. */
  static long orderKey(double value) {
    long bits = Double.doubleToLongBits(value);
    return bits ^ (bits >> 63) & Long.MAX_VALUE;
  }

  static final long MINUS_ZERO = orderKey(-0.0);
  static final long PLUS_ZERO = orderKey(0.0);

  private static long[] ranks(InternalRow[] rows, int field, DataType type) {
    Object[] values = new Object[rows.length];
    for (int i = 0; i < values.length; i++) values[i] = rows[i].get(field, type);
    Ordering ordering = TypeUtils.getInterpretedOrdering(type);
    int[] order = order(new long[values.length], values, ordering);
    long[] ranks = new long[values.length];
    for (int i = 1; i < order.length; i++) {
      boolean same = ordering.compare(values[order[i - 1]], values[order[i]]) == 0;
      ranks[order[i]] = ranks[order[i - 1]] + (same ? 0 : 1);
    }
    return ranks;
  }
}
