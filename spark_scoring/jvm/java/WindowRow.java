package spark_scoring.jvm;

/** The aggregates of windows, as they are found. */
final class WindowRow extends WordsRow {
  private final Object[] others;

  WindowRow(int[] kinds) {
    super(kinds);
    others = new Object[kinds.length];
  }

  void setDouble(int i, double value) {
    setWord(i, Double.doubleToRawLongBits(value));
  }

  void setOther(int i, Object value) {
    there[i] = value != null;
    others[i] = value;
  }

  protected Object other(int i) {
    return others[i];
  }
}
