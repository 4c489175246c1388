package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;

/** One field of many rows as an array. */
final class Columns {
  private Columns() {}

  static ArrayData of(InternalRow[] rows, int n, int field, DataType type) {
    boolean whole = true;
    for (int i = 0; whole && i < n; i++) whole = !rows[i].isNullAt(field);
    if (whole && type.equals(DataTypes.DoubleType)) return doubles(rows, n, field);
    Object[] values = new Object[n];
    for (int i = 0; i < n; i++) values[i] = rows[i].isNullAt(field) ? null : rows[i].get(field, type);
    return new GenericArrayData(values);
  }

  private static ArrayData doubles(InternalRow[] rows, int n, int field) {
    double[] values = new double[n];
    for (int i = 0; i < n; i++) values[i] = rows[i].getDouble(field);
    return UnsafeArrayData.fromPrimitiveArray(values);
  }
}
