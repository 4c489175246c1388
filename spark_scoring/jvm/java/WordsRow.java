package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;

/** A row that keeps longs and doubles as words and not as objects; of other fields its subclass has the objects. */
abstract class WordsRow extends GenericInternalRow {
  protected final boolean[] there;
  protected final long[] words;

  WordsRow(int width) {
    super(new Object[0]);
    there = new boolean[width];
    words = new long[width];
  }

  public int numFields() {
    return there.length;
  }

  public boolean isNullAt(int i) {
    return !there[i];
  }

  public long getLong(int i) {
    return words[i];
  }

  public double getDouble(int i) {
    return Double.longBitsToDouble(words[i]);
  }
}
