package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeProjection;
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/** The entries of `scores` by one model: rows made once for each label, of which each score gets a copy. */
final class ScoreEntries {
  static final StructType TYPE = type("role", "model", "model_version", "score", "label", "reason", "detail");
  private static final int SCORE = 3, SCORE_AT = UnsafeRow.calculateBitSetWidthInBytes(7) + 8 * SCORE;
  private final UTF8String[] names;
  private final UnsafeRow[] made;

  /** `names`: role, model and version. */
  ScoreEntries(String[] names, UTF8String[] labels) {
    this.names = new UTF8String[names.length];
    for (int i = 0; i < names.length; i++) this.names[i] = UTF8String.fromString(names[i]);
    UnsafeProjection packed = UnsafeProjection.create(TYPE);
    made = new UnsafeRow[labels.length + 1];
    for (int i = 0; i < made.length; i++) {
      UTF8String label = i < labels.length ? labels[i] : null;
      made[i] = packed.apply(other(Double.valueOf(0), label, null, null)).copy();
    }
  }

  private static StructType type(String... fields) {
    StructType type = new StructType();
    for (int i = 0; i < fields.length; i++) {
      type = type.add(fields[i], fields[i].equals("score") ? DataTypes.DoubleType : DataTypes.StringType);
    }
    return type;
  }

  /** A score and the place of its label; without one where it is less than 0, or there are none. */
  InternalRow scored(double score, int place) {
    UnsafeRow entry = made(place).copy();
    entry.setDouble(SCORE, score);
    return entry;
  }

  private UnsafeRow made(int place) {
    return made[place < 0 ? made.length - 1 : place];
  }

  int bytes(int place) {
    return made(place).getSizeInBytes();
  }

  /** Write the same into bytes; returns how many it took. */
  int write(byte[] to, int at, double score, int place) {
    UnsafeRow entry = made(place);
    long start = (long) Platform.BYTE_ARRAY_OFFSET + at;
    Platform.copyMemory(entry.getBaseObject(), entry.getBaseOffset(), to, start, entry.getSizeInBytes());
    Platform.putDouble(to, start + SCORE_AT, score);
    return entry.getSizeInBytes();
  }

  InternalRow other(Double score, UTF8String label, UTF8String reason, UTF8String detail) {
    return new GenericInternalRow(new Object[] {names[0], names[1], names[2], score, label, reason, detail});
  }
}
