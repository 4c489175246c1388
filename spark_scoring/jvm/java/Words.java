package spark_scoring.jvm;

import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters;
import org.apache.spark.sql.catalyst.expressions.codegen.CodeGenerator;
import org.apache.spark.sql.types.DataType;

/** Values of all types that Spark's code keeps as Java's numbers or booleans, as words of 64 bits. */
final class Words {
  /** The kind of the types that are no words, and the others. */
  static final int NONE = -1, LONG = 0, DOUBLE = 1, INT = 2, FLOAT = 3, SHORT = 4, BYTE = 5;
  private static final List NAMES =
      Arrays.asList(new String[] {"long", "double", "int", "float", "short", "byte", "boolean"});

  private Words() {}

  static int kind(DataType type) {
    return NAMES.indexOf(CodeGenerator.javaType(type));
  }

  static long of(SpecializedGetters values, int at, int kind) {
    switch (kind) {
      case LONG: return values.getLong(at);
      case DOUBLE: return Double.doubleToRawLongBits(values.getDouble(at));
      case INT: return values.getInt(at);
      case FLOAT: return Float.floatToRawIntBits(values.getFloat(at));
      case SHORT: return values.getShort(at);
      case BYTE: return values.getByte(at);
      default: return values.getBoolean(at) ? 1 : 0;
    }
  }

  static Object boxed(long word, int kind) {
    switch (kind) {
      case LONG: return Long.valueOf(word);
      case DOUBLE: return Double.valueOf(Double.longBitsToDouble(word));
      case INT: return Integer.valueOf((int) word);
      case FLOAT: return Float.valueOf(Float.intBitsToFloat((int) word));
      case SHORT: return Short.valueOf((short) word);
      case BYTE: return Byte.valueOf((byte) word);
      default: return Boolean.valueOf(word != 0);
    }
  }
}
