package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;

/** The sign of zeros in values that are equal otherwise. */
final class Zeros {
  private Zeros() {}

  /** Whether equal values of the type, which can be ordered, can differ in the sign of a zero. */
  static boolean holds(DataType type) {
    if (type instanceof ArrayType) return holds(((ArrayType) type).elementType());
    if (!(type instanceof StructType)) return Items.isFloat(type);
    boolean any = false;
    for (int i = 0; i < ((StructType) type).length(); i++) any |= holds(((StructType) type).fields()[i].dataType());
    return any;
  }

  /** Greater than 0 where the first zero whose sign differs is 0.0 in a. */
  static int compare(Object a, Object b, DataType type) {
    if (a == null || b == null) return 0;
    if (Items.isFloat(type)) return Double.compare(((Number) a).doubleValue(), ((Number) b).doubleValue());
    if (type instanceof ArrayType) return elements((ArrayData) a, (ArrayData) b, ((ArrayType) type).elementType());
    return type instanceof StructType ? fields((InternalRow) a, (InternalRow) b, (StructType) type) : 0;
  }

  private static int elements(ArrayData a, ArrayData b, DataType type) {
    int order = 0;
    for (int i = 0; order == 0 && i < a.numElements(); i++) {
      if (!a.isNullAt(i)) order = compare(a.get(i, type), b.get(i, type), type);
    }
    return order;
  }

  private static int fields(InternalRow a, InternalRow b, StructType type) {
    int order = 0;
    for (int i = 0; order == 0 && i < type.length(); i++) {
      DataType field = type.fields()[i].dataType();
      if (!a.isNullAt(i)) order = compare(a.get(i, field), b.get(i, field), field);
    }
    return order;
  }
}
