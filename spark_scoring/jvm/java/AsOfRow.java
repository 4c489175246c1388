package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;

/** The answers that stand at some places of an index: words read at once, others when they are asked for. */
final class AsOfRow extends WordsRow {
  private final InternalRow index;
  private final int[] places;
  private final AsOfAnswers asked;

  AsOfRow(InternalRow index, int[] places, AsOfAnswers asked) {
    super(asked.kinds);
    this.index = index;
    this.places = places;
    this.asked = asked;
    for (int join = 0; join < places.length; join++) if (places[join] >= 0) read(join, places[join]);
  }

  private void read(int join, int place) {
    int field = asked.starts[join] + AsOfIndexes.WORDS, begin = asked.begins[join], end = asked.begins[join + 1];
    int width = asked.widths[join], word = 0;
    ArrayData words = width == 0 ? null : index.getArray(field);
    ArrayData nulls = width == 0 || index.isNullAt(field + 1) ? null : index.getArray(field + 1);
    for (int i = begin; i < end; i++) {
      if (asked.kinds[i] == Words.NONE) {
        there[i] = !values(i).isNullAt(place);
      } else {
        int at = place * width + word++;
        if (nulls == null || !nulls.getBoolean(at)) setWord(i, words.getLong(at));
      }
    }
  }

  private ArrayData values(int i) {
    return index.getArray(asked.fields[i]);
  }

  protected Object other(int i) {
    return values(i).get(places[asked.joins[i]], asked.taken(i));
  }
}
