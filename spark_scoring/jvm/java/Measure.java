package spark_scoring.jvm;

import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * What a window index holds of one argument under one condition, written as `value,condition,needs`.
 *
 * `value` and `condition` are places in an item, -1 for none. Of the needs each letter is one: n nulls are kept,
 * s sums, q sums of squares, l least, g greatest, d distinct values, v the values, z zeros of one place as 0.0.
 */
final class Measure implements java.io.Serializable {
  /** The arrays that an index holds of each measure, in this order. */
  static final int AT = 0, SUM = 1, SQUARE = 2, ODD = 3, ORDER = 4, LOW = 5, LOWEST = 6, HIGH = 7, HIGHEST = 8, BEFORE = 9,
      VALUE = 10, SLOTS = 11;

  final int value, condition;
  private final String needs;

  Measure(String text) {
    String[] parts = text.split(",", -1);
    value = Integer.parseInt(parts[0]);
    condition = Integer.parseInt(parts[1]);
    needs = parts[2];
  }

  static Measure[] all(String text) {
    String[] parts = text.split(";");
    Measure[] measures = new Measure[parts.length];
    for (int i = 0; i < parts.length; i++) measures[i] = new Measure(parts[i]);
    return measures;
  }

  boolean needs(char what) {
    return needs.indexOf(what) >= 0;
  }

  boolean ordered() {
    return needs('l') || needs('g') || needs('d');
  }

  /** The columns of an index that hold this measure. */
  StructType added(StructType index, String prefix, DataType type) {
    DataType longs = DataTypes.createArrayType(DataTypes.LongType, false);
    DataType ints = DataTypes.createArrayType(DataTypes.IntegerType, false);
    DataType bytes = DataTypes.createArrayType(DataTypes.ByteType, false), values = DataTypes.createArrayType(type, true);
    DataType[] slots = {ints, longs, longs, longs, longs, bytes, ints, bytes, ints, ints, values};
    for (int i = 0; i < SLOTS; i++) index = index.add(prefix + i, slots[i]);
    return index;
  }
}
