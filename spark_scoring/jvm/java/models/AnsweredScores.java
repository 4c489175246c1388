package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * The entries of `scores` by all models that Python workers scored, each null where they said nothing of the row.
 *
 * Argument: what they said, see `answer_type` in workers.py. The text is `model,model…`, each of them
 * `role/name/version/class/class…`, every part quoted for URLs.
 */
public class AnsweredScores extends Bound {
  private final String[] models;
  private transient ScoreArray array;

  AnsweredScores(String text) {
    super(text);
    models = text.split(",", -1);
  }

  public String name() {
    return "answered";
  }

  public DataType resultType() {
    return ScoreArray.TYPE;
  }

  public ArrayData invoke(InternalRow answer) {
    if (answer == null) return new GenericArrayData(new Object[models.length]);
    if (array == null) load();
    int told = 2 * models.length;
    if (!answer.isNullAt(told)) return others(answer, answer.getArray(told));
    for (int i = 0; i < models.length; i++) {
      array.scores[i] = answer.getDouble(2 * i);
      array.labels[i] = answer.getInt(2 * i + 1);
    }
    return array.written();
  }

  private ArrayData others(InternalRow answer, ArrayData told) {
    Object[] found = new Object[models.length];
    for (int i = 0; i < found.length; i++) {
      InternalRow own = told.getStruct(i, 3);
      Double score = answer.isNullAt(2 * i) ? null : Double.valueOf(answer.getDouble(2 * i));
      found[i] = array.entries[i].other(score, text(own, 0), text(own, 1), text(own, 2));
    }
    return new GenericArrayData(found);
  }

  private static UTF8String text(InternalRow row, int i) {
    return row.isNullAt(i) ? null : row.getUTF8String(i);
  }

  private void load() {
    ScoreEntries[] entries = new ScoreEntries[models.length];
    for (int i = 0; i < entries.length; i++) entries[i] = entries(models[i].split("/", -1));
    array = new ScoreArray(entries);
  }

  private static ScoreEntries entries(String[] parts) {
    String[] names = new String[3];
    for (int i = 0; i < 3; i++) names[i] = ModelScores.part(parts[i]);
    UTF8String[] labels = new UTF8String[parts.length - 3];
    for (int i = 0; i < labels.length; i++) labels[i] = UTF8String.fromString(ModelScores.part(parts[3 + i]));
    return new ScoreEntries(names, labels);
  }
}
