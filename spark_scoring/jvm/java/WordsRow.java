package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;

/** A row that keeps numbers and booleans as `Words`, not as objects; of other fields its subclass has the objects. */
abstract class WordsRow extends GenericInternalRow {
  private static final Object[] NO_VALUES = {};
  protected final boolean[] there;
  protected final long[] words;
  private final int[] kinds;

  WordsRow(int[] kinds) {
    super(NO_VALUES);
    this.kinds = kinds;
    there = new boolean[kinds.length];
    words = new long[kinds.length];
  }

  /** What a field holds that is no word. */
  protected abstract Object other(int i);

  protected void setWord(int i, long word) {
    there[i] = true;
    words[i] = word;
  }

  public int numFields() {
    return there.length;
  }

  public boolean isNullAt(int i) {
    return !there[i];
  }

  public Object genericGet(int i) {
    return !there[i] ? null : kinds[i] == Words.NONE ? other(i) : Words.boxed(words[i], kinds[i]);
  }

  public long getLong(int i) {
    return words[i];
  }

  public double getDouble(int i) {
    return Double.longBitsToDouble(words[i]);
  }

  public int getInt(int i) {
    return (int) words[i];
  }

  public float getFloat(int i) {
    return Float.intBitsToFloat((int) words[i]);
  }

  public short getShort(int i) {
    return (short) words[i];
  }

  public byte getByte(int i) {
    return (byte) words[i];
  }

  public boolean getBoolean(int i) {
    return words[i] != 0;
  }
}
