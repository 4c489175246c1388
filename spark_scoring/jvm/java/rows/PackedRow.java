package spark_scoring.jvm;

import java.io.DataOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters;
import org.apache.spark.sql.catalyst.util.ArrayBasedMapData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.catalyst.util.MapData;
import org.apache.spark.sql.types.*;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * Values as bytes and back, every bit kept: a byte 0 for null or 1, then the value. Numbers are big endian, texts,
 * bytes, decimals (their unscaled number) and collections begin with their length, structs are their fields in order.
 */
final class PackedRow {
  private PackedRow() {}

  static void write(DataOutputStream to, SpecializedGetters from, int i, DataType type) throws IOException {
    boolean there = !from.isNullAt(i);
    to.writeBoolean(there);
    if (!there) return;
    if (type instanceof StringType) bytes(to, from.getUTF8String(i).getBytes());
    else if (type instanceof BinaryType) bytes(to, from.getBinary(i));
    else if (type instanceof BooleanType) to.writeBoolean(from.getBoolean(i));
    else if (type instanceof ByteType) to.writeByte(from.getByte(i));
    else if (type instanceof ShortType) to.writeShort(from.getShort(i));
    else if (type instanceof IntegerType || type instanceof DateType) to.writeInt(from.getInt(i));
    else if (type instanceof FloatType) to.writeInt(Float.floatToRawIntBits(from.getFloat(i)));
    else if (type instanceof DoubleType) to.writeLong(Double.doubleToRawLongBits(from.getDouble(i)));
    else if (type instanceof LongType || type instanceof TimestampType || type instanceof TimestampNTZType) to.writeLong(from.getLong(i));
    else if (type instanceof DecimalType) bytes(to, unscaled(from, i, (DecimalType) type));
    else if (type instanceof ArrayType) array(to, from.getArray(i), ((ArrayType) type).elementType());
    else if (type instanceof MapType) map(to, from.getMap(i), (MapType) type);
    else struct(to, from.getStruct(i, ((StructType) type).length()), (StructType) type);
  }

  private static byte[] unscaled(SpecializedGetters from, int i, DecimalType type) {
    return from.getDecimal(i, type.precision(), type.scale()).toJavaBigDecimal().unscaledValue().toByteArray();
  }

  private static void bytes(DataOutputStream to, byte[] value) throws IOException {
    to.writeInt(value.length);
    to.write(value, 0, value.length);
  }

  private static void array(DataOutputStream to, ArrayData value, DataType element) throws IOException {
    to.writeInt(value.numElements());
    for (int i = 0; i < value.numElements(); i++) write(to, value, i, element);
  }

  private static void map(DataOutputStream to, MapData value, MapType type) throws IOException {
    array(to, value.keyArray(), type.keyType());
    array(to, value.valueArray(), type.valueType());
  }

  static void struct(DataOutputStream to, InternalRow value, StructType type) throws IOException {
    for (int i = 0; i < type.length(); i++) write(to, value, i, type.fields()[i].dataType());
  }

  static Object read(ByteBuffer from, DataType type) {
    if (from.get() == 0) return null;
    if (type instanceof StringType) return UTF8String.fromBytes(bytes(from));
    if (type instanceof BinaryType) return bytes(from);
    if (type instanceof BooleanType) return Boolean.valueOf(from.get() != 0);
    if (type instanceof ByteType) return Byte.valueOf(from.get());
    if (type instanceof ShortType) return Short.valueOf(from.getShort());
    if (type instanceof IntegerType || type instanceof DateType) return Integer.valueOf(from.getInt());
    if (type instanceof FloatType) return Float.valueOf(Float.intBitsToFloat(from.getInt()));
    if (type instanceof DoubleType) return Double.valueOf(Double.longBitsToDouble(from.getLong()));
    if (type instanceof LongType || type instanceof TimestampType || type instanceof TimestampNTZType) return Long.valueOf(from.getLong());
    if (type instanceof DecimalType) return decimal(from, (DecimalType) type);
    if (type instanceof ArrayType) return array(from, ((ArrayType) type).elementType());
    if (type instanceof MapType) {
      ArrayData keys = array(from, ((MapType) type).keyType());
      return new ArrayBasedMapData(keys, array(from, ((MapType) type).valueType()));
    }
    return struct(from, (StructType) type);
  }

  private static Decimal decimal(ByteBuffer from, DecimalType type) {
    BigDecimal value = new BigDecimal(new BigInteger(bytes(from)), type.scale());
    return Decimal.apply(value, type.precision(), type.scale());
  }

  private static int length(ByteBuffer from) {
    int length = from.getInt();
    // each element takes a byte at least: what is damaged must not ask for all memory
    if (length < 0 || length > from.remaining()) throw new java.nio.BufferUnderflowException();
    return length;
  }

  private static byte[] bytes(ByteBuffer from) {
    byte[] value = new byte[length(from)];
    from.get(value);
    return value;
  }

  private static ArrayData array(ByteBuffer from, DataType element) {
    Object[] values = new Object[length(from)];
    for (int i = 0; i < values.length; i++) values[i] = read(from, element);
    return new GenericArrayData(values);
  }

  static InternalRow struct(ByteBuffer from, StructType type) {
    Object[] values = new Object[type.length()];
    for (int i = 0; i < values.length; i++) values[i] = read(from, type.fields()[i].dataType());
    return new GenericInternalRow(values);
  }
}
