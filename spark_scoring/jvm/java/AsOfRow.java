package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;

/** The answers that stand at some places of an index: longs and doubles read at once, others when they are asked for. */
final class AsOfRow extends WordsRow {
  private final InternalRow index;
  private final int[] places;
  private final AsOfAnswers asked;

  AsOfRow(InternalRow index, int[] places, AsOfAnswers asked) {
    super(asked.fields.length);
    this.index = index;
    this.places = places;
    this.asked = asked;
    for (int i = 0; i < there.length; i++) {
      int place = places[asked.joins[i]];
      if (place < 0) continue;
      ArrayData values = index.getArray(asked.fields[i]);
      there[i] = !values.isNullAt(place);
      if (there[i] && asked.longs[i]) words[i] = values.getLong(place);
      if (there[i] && asked.doubles[i]) words[i] = Double.doubleToRawLongBits(values.getDouble(place));
    }
  }

  public Object genericGet(int i) {
    return there[i] ? index.getArray(asked.fields[i]).get(places[asked.joins[i]], asked.taken(i)) : null;
  }
}
