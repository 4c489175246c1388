package spark_scoring.jvm;

import java.io.Serializable;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/** One of the models of a function: where it comes from, and where its inputs stand among those of all. */
final class SentModel implements Serializable {
  private final String key;
  private final Broadcast content;
  private final String[] names;
  /** The places of its numbers and texts; null where it takes all, as they stand. */
  private final int[] numbers, texts;
  private transient Model loaded;
  private transient Model.Row row;
  private transient ArrayTexts given;

  SentModel(String key, Broadcast content, String[] names, int[] numbers, int[] texts) {
    this.key = key;
    this.content = content;
    this.names = names;
    this.numbers = numbers;
    this.texts = texts;
  }

  ScoreEntries load() {
    loaded = ModelCache.get(key, content);
    given = new ArrayTexts(texts);
    row = new Model.Row(loaded);
    UTF8String[] labels = new UTF8String[loaded.link.labels.length];
    for (int i = 0; i < labels.length; i++) labels[i] = UTF8String.fromBytes(loaded.link.labels[i]);
    return new ScoreEntries(names, labels);
  }

  /** Leave its score and label, or why there is none, in the array. */
  void run(ArrayData allNumbers, ArrayData allTexts, ScoreArray array, int i) {
    fill(row.places, allNumbers);
    given.set(allTexts);
    if (!loaded.run(row, given)) {
      array.labels[i] = ScoreEntries.WRONG;
      return;
    }
    double score = loaded.link.score(row.margins, row.label);
    boolean finite = Math.abs(score) <= Double.MAX_VALUE, labelled = loaded.link.labels.length > 0;
    array.scores[i] = score;
    array.labels[i] = !finite ? ScoreEntries.NOT_FINITE : labelled ? row.label[0] : ScoreEntries.NO_LABEL;
  }

  /** The numbers of a row, NaN for null. */
  private void fill(double[] places, ArrayData all) {
    if (numbers != null) {
      for (int i = 0; i < numbers.length; i++) places[i] = number(all, numbers[i]);
    } else if (all instanceof UnsafeArrayData && !hasNull((UnsafeArrayData) all)) {
      UnsafeArrayData array = (UnsafeArrayData) all;
      int n = array.numElements();
      long first = array.getBaseOffset() + UnsafeArrayData.calculateHeaderPortionInBytes(n);
      Platform.copyMemory(array.getBaseObject(), first, places, Platform.DOUBLE_ARRAY_OFFSET, 8L * n);
    } else {
      for (int i = 0; i < all.numElements(); i++) places[i] = number(all, i);
    }
  }

  private static double number(ArrayData all, int i) {
    return all.isNullAt(i) ? Double.NaN : all.getDouble(i);
  }

  private static boolean hasNull(UnsafeArrayData array) {
    long end = array.getBaseOffset() + UnsafeArrayData.calculateHeaderPortionInBytes(array.numElements());
    for (long at = array.getBaseOffset() + 8; at < end; at += 8) {
      if (Platform.getLong(array.getBaseObject(), at) != 0) return true;
    }
    return false;
  }
}
