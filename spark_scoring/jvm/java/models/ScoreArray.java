package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.unsafe.Platform;

/** A row's entries of several models, in one piece of memory, as Spark would write them one by one. */
final class ScoreArray {
  static final DataType TYPE = DataTypes.createArrayType(ScoreEntries.TYPE, true);
  private static final int BASE = Platform.BYTE_ARRAY_OFFSET;
  final ScoreEntries[] entries;
  /** Of each model: its score, and the place of its label or what else `ScoreEntries` knows. */
  final double[] scores;
  final int[] labels;
  private final int sizes, head;

  ScoreArray(ScoreEntries[] entries) {
    this.entries = entries;
    scores = new double[entries.length];
    labels = new int[entries.length];
    sizes = UnsafeArrayData.calculateHeaderPortionInBytes(entries.length);
    head = sizes + 8 * entries.length;
  }

  ArrayData written() {
    int size = head;
    for (int i = 0; i < entries.length; i++) size += entries[i].bytes(labels[i]);
    byte[] bytes = new byte[size];
    Platform.putLong(bytes, BASE, entries.length);
    int at = head;
    for (int i = 0; i < entries.length; i++) {
      int length = entries[i].bytes(labels[i]);
      entries[i].write(bytes, at, scores[i], labels[i]);
      Platform.putLong(bytes, (long) BASE + sizes + 8 * i, (long) at << 32 | length);
      at += length;
    }
    UnsafeArrayData array = new UnsafeArrayData();
    array.pointTo(bytes, BASE, size);
    return array;
  }
}
