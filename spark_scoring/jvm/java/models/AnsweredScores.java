package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * The entries of `scores` by all models that Python workers scored, each null where they said nothing of the row.
 *
 * Argument: what they said, see `answer_type` in workers.py. The text is `model,model…`, each of them
 * `role/name/version/class/class…`, every part quoted for URLs.
 */
public class AnsweredScores extends Bound {
  private static final int BASE = Platform.BYTE_ARRAY_OFFSET;
  private final String[] models;
  private transient ScoreEntries[] entries;
  private transient int head;

  AnsweredScores(String text) {
    super(text);
    models = text.split(",", -1);
  }

  public String name() {
    return "answered";
  }

  public DataType resultType() {
    return DataTypes.createArrayType(ScoreEntries.TYPE, true);
  }

  public ArrayData invoke(InternalRow answer) {
    if (answer == null) return new GenericArrayData(new Object[models.length]);
    if (entries == null) load();
    int told = 2 * models.length;
    return answer.isNullAt(told) ? scored(answer) : others(answer, answer.getArray(told));
  }

  /** All entries in one piece of memory, as Spark would write them one by one. */
  private ArrayData scored(InternalRow answer) {
    int size = head;
    for (int i = 0; i < entries.length; i++) size += entries[i].bytes(answer.getInt(2 * i + 1));
    byte[] bytes = new byte[size];
    Platform.putLong(bytes, BASE, entries.length);
    int at = head;
    for (int i = 0; i < entries.length; i++) {
      int length = entries[i].write(bytes, at, answer.getDouble(2 * i), answer.getInt(2 * i + 1));
      Platform.putLong(bytes, BASE + head - 8L * (entries.length - i), (long) at << 32 | length);
      at += length;
    }
    UnsafeArrayData array = new UnsafeArrayData();
    array.pointTo(bytes, BASE, size);
    return array;
  }

  private ArrayData others(InternalRow answer, ArrayData told) {
    Object[] found = new Object[entries.length];
    for (int i = 0; i < found.length; i++) {
      InternalRow own = told.getStruct(i, 3);
      Double score = answer.isNullAt(2 * i) ? null : Double.valueOf(answer.getDouble(2 * i));
      found[i] = entries[i].other(score, text(own, 0), text(own, 1), text(own, 2));
    }
    return new GenericArrayData(found);
  }

  private static UTF8String text(InternalRow row, int i) {
    return row.isNullAt(i) ? null : row.getUTF8String(i);
  }

  private void load() {
    head = UnsafeArrayData.calculateHeaderPortionInBytes(models.length) + 8 * models.length;
    entries = new ScoreEntries[models.length];
    for (int i = 0; i < models.length; i++) entries[i] = entriesOf(models[i].split("/", -1));
  }

  private static ScoreEntries entriesOf(String[] parts) {
    String[] names = new String[3];
    for (int i = 0; i < 3; i++) names[i] = ModelScores.part(parts[i]);
    UTF8String[] labels = new UTF8String[parts.length - 3];
    for (int i = 0; i < labels.length; i++) labels[i] = UTF8String.fromString(ModelScores.part(parts[3 + i]));
    return new ScoreEntries(names, labels);
  }
}
