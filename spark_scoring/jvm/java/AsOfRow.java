package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;

/** The answers that stand at some places of an index: longs and doubles read at once, others when they are asked for. */
final class AsOfRow extends GenericInternalRow {
  private final InternalRow index;
  private final int[] places;
  private final AsOfAnswers asked;
  private final boolean[] there;
  private final long[] words;

  AsOfRow(InternalRow index, int[] places, AsOfAnswers asked) {
    super(new Object[0]);
    this.index = index;
    this.places = places;
    this.asked = asked;
    there = new boolean[asked.fields.length];
    words = new long[asked.fields.length];
    for (int i = 0; i < there.length; i++) {
      int place = places[asked.joins[i]];
      if (place < 0) continue;
      ArrayData values = index.getArray(asked.fields[i]);
      there[i] = !values.isNullAt(place);
      if (there[i] && asked.longs[i]) words[i] = values.getLong(place);
      if (there[i] && asked.doubles[i]) words[i] = Double.doubleToRawLongBits(values.getDouble(place));
    }
  }

  public int numFields() {
    return there.length;
  }

  public boolean isNullAt(int i) {
    return !there[i];
  }

  public Object genericGet(int i) {
    return there[i] ? index.getArray(asked.fields[i]).get(places[asked.joins[i]], asked.taken(i)) : null;
  }

  public long getLong(int i) {
    return words[i];
  }

  public double getDouble(int i) {
    return Double.longBitsToDouble(words[i]);
  }
}
