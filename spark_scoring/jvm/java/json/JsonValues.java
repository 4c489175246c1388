package spark_scoring.jvm;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.util.ArrayBasedMapData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.*;
import org.apache.spark.unsafe.types.UTF8String;

/** A JSON value as the value of a column, as Spark holds it. A value of another JSON type is refused, never cast. */
final class JsonValues implements java.io.Serializable {
  // of a number that is a time, the power of ten that makes microseconds of it; negative: a time is no number
  private final int timePower;
  private final boolean strict;

  JsonValues(int timePower, boolean strict) {
    this.timePower = timePower;
    this.strict = strict;
  }

  /** Whether there are fields that are not declared, and none may be. */
  boolean refuse(LinkedHashMap given, StructType type) {
    for (Iterator names = given.keySet().iterator(); strict && names.hasNext(); ) {
      if (type.getFieldIndex((String) names.next()).isEmpty()) return true;
    }
    return false;
  }

  Object of(Object value, DataType type) {
    if (value == null) return null;
    if (type instanceof StringType) return UTF8String.fromString(string(value));
    if (type instanceof BooleanType) {
      if (value instanceof Boolean) return value;
      throw JsonFault.TYPE;
    }
    if (type instanceof TimestampType) return Long.valueOf(timestamp(value));
    if (type instanceof TimestampNTZType) return Long.valueOf(JsonTimes.instant(written(value), false));
    if (type instanceof DateType) return Integer.valueOf(JsonTimes.day(written(value)));
    if (type instanceof BinaryType) return binary(written(value));
    if (type instanceof ArrayType) return array(value, ((ArrayType) type).elementType());
    if (type instanceof MapType) return map(value, (MapType) type);
    if (type instanceof StructType) return struct(value, (StructType) type);
    return number(value, type);
  }

  private static Object number(Object given, DataType type) {
    if (!(given instanceof JsonNumber)) throw JsonFault.TYPE;
    JsonNumber value = (JsonNumber) given;
    if (type instanceof DoubleType) return Double.valueOf(value.toDouble());
    if (type instanceof FloatType) return Float.valueOf(value.toFloat());
    if (type instanceof LongType) return Long.valueOf(value.whole(Long.MIN_VALUE, Long.MAX_VALUE));
    if (type instanceof IntegerType) return Integer.valueOf((int) value.whole(Integer.MIN_VALUE, Integer.MAX_VALUE));
    if (type instanceof ShortType) return Short.valueOf((short) value.whole(Short.MIN_VALUE, Short.MAX_VALUE));
    if (type instanceof ByteType) return Byte.valueOf((byte) value.whole(Byte.MIN_VALUE, Byte.MAX_VALUE));
    DecimalType decimal = (DecimalType) type;
    int precision = decimal.precision(), scale = decimal.scale();
    return Decimal.apply(value.decimal(precision, scale), precision, scale);
  }

  private static String written(Object value) {
    if (!(value instanceof String)) throw JsonFault.TYPE;
    return (String) value;
  }

  private static String string(Object value) {
    String text = written(value);
    for (int i = 0; i < text.length(); i++) {
      if (!Character.isSurrogate(text.charAt(i))) continue;
      // half of a pair, written as an escape, is no text
      if (!Character.isHighSurrogate(text.charAt(i)) || i + 1 == text.length()) throw JsonFault.NOT_UTF8;
      if (!Character.isLowSurrogate(text.charAt(++i))) throw JsonFault.NOT_UTF8;
    }
    return text;
  }

  private long timestamp(Object value) {
    if (!(value instanceof JsonNumber) || timePower < 0) return JsonTimes.instant(written(value), true);
    long micros = ((JsonNumber) value).scaled(timePower);
    if (micros < JsonTimes.FIRST_US || micros > JsonTimes.LAST_US) throw JsonFault.RANGE;
    return micros;
  }

  private static byte[] binary(String text) {
    try {
      // Java itself takes a text without its padding
      if (text.length() % 4 == 0) return Base64.getDecoder().decode(text);
    } catch (IllegalArgumentException error) {
      throw JsonFault.TYPE;
    }
    throw JsonFault.TYPE;
  }

  private Object array(Object value, DataType element) {
    if (!(value instanceof ArrayList)) throw JsonFault.TYPE;
    ArrayList given = (ArrayList) value;
    Object[] found = new Object[given.size()];
    for (int i = 0; i < found.length; i++) found[i] = of(given.get(i), element);
    return new GenericArrayData(found);
  }

  private Object map(Object value, MapType type) {
    LinkedHashMap given = fields(value);
    Object[] keys = new Object[given.size()], values = new Object[given.size()];
    HashSet seen = new HashSet();
    int i = 0;
    for (Iterator each = given.entrySet().iterator(); each.hasNext(); i++) {
      Map.Entry entry = (Map.Entry) each.next();
      keys[i] = key((String) entry.getKey(), type.keyType());
      // two texts can be one key: 1.5 and 1.50
      if (!seen.add(keys[i] instanceof byte[] ? ByteBuffer.wrap((byte[]) keys[i]) : keys[i])) throw JsonFault.REPEATED;
      values[i] = of(entry.getValue(), type.valueType());
    }
    return new ArrayBasedMapData(new GenericArrayData(keys), new GenericArrayData(values));
  }

  /** A name as a value; where the type is no text, as the number or word that it is without its quotes. */
  private Object key(String text, DataType type) {
    Object bare = text;
    if (type instanceof NumericType) bare = JsonText.number(text);
    if (type instanceof BooleanType && (text.equals("true") || text.equals("false"))) bare = Boolean.valueOf(text);
    Object key = of(bare, type);
    // to Spark the two zeros are one key
    if (key.equals(Double.valueOf(-0.0))) return Double.valueOf(0.0);
    return key.equals(Float.valueOf(-0.0f)) ? Float.valueOf(0.0f) : key;
  }

  private Object struct(Object value, StructType type) {
    LinkedHashMap given = fields(value);
    Object[] found = new Object[type.length()];
    for (int i = 0; i < found.length; i++) found[i] = of(given.get(type.fields()[i].name()), type.fields()[i].dataType());
    if (refuse(given, type)) throw JsonFault.TYPE;
    return new GenericInternalRow(found);
  }

  private static LinkedHashMap fields(Object value) {
    if (!(value instanceof LinkedHashMap)) throw JsonFault.TYPE;
    return (LinkedHashMap) value;
  }
}
