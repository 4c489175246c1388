package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeProjection;
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/** The entries of `scores` by one model: rows made once, one for each label and failure, that each row gets a copy of. */
final class ScoreEntries {
  /** In the place of a label's place: a score without one, and no score. */
  static final int NO_LABEL = -1, WRONG = -2, NOT_FINITE = -3;
  static final StructType TYPE = type("role", "model", "model_version", "score", "label", "reason", "detail");
  private static final int SCORE_AT = UnsafeRow.calculateBitSetWidthInBytes(7) + 8 * 3;
  private final String[] names;
  private final UnsafeRow[] made;
  private final int labels;

  /** `names`: role, model and version. */
  ScoreEntries(String[] names, UTF8String[] labels) {
    this.names = names;
    this.labels = labels.length;
    made = new UnsafeRow[labels.length + 3];
    UnsafeProjection packed = UnsafeProjection.create(TYPE);
    Double score = Double.valueOf(0);
    UTF8String wrong = UTF8String.fromString("MODEL"), error = UTF8String.fromString("ValueError");
    for (int i = 0; i < labels.length; i++) made[i] = packed.apply(other(score, labels[i], null, null)).copy();
    made[at(NO_LABEL)] = packed.apply(other(score, null, null, null)).copy();
    made[at(WRONG)] = packed.apply(other(null, null, wrong, error)).copy();
    made[at(NOT_FINITE)] = packed.apply(other(null, null, UTF8String.fromString("NOT_FINITE"), null)).copy();
  }

  private static StructType type(String... fields) {
    StructType type = new StructType();
    for (int i = 0; i < fields.length; i++) {
      type = type.add(fields[i], fields[i].equals("score") ? DataTypes.DoubleType : DataTypes.StringType);
    }
    return type;
  }

  private int at(int label) {
    return label >= 0 ? label : labels - 1 - label;
  }

  /** An entry of any other content. */
  InternalRow other(Double score, UTF8String label, UTF8String reason, UTF8String detail) {
    UTF8String role = UTF8String.fromString(names[0]), model = UTF8String.fromString(names[1]);
    return new GenericInternalRow(new Object[] {role, model, UTF8String.fromString(names[2]), score, label, reason, detail});
  }

  int bytes(int label) {
    return made[at(label)].getSizeInBytes();
  }

  /** Write the entry of a score and the place of its label, or of a failure. */
  void write(byte[] to, int at, double score, int label) {
    UnsafeRow entry = made[at(label)];
    long start = (long) Platform.BYTE_ARRAY_OFFSET + at;
    Platform.copyMemory(entry.getBaseObject(), entry.getBaseOffset(), to, start, entry.getSizeInBytes());
    if (label >= NO_LABEL) Platform.putDouble(to, start + SCORE_AT, score);
  }
}
