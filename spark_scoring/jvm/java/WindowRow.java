package spark_scoring.jvm;

/** The aggregates of windows, as they are found. */
final class WindowRow extends WordsRow {
  private Object[] others;

  WindowRow(int[] kinds) {
    super(kinds);
  }

  public void setDouble(int i, double value) {
    setWord(i, Double.doubleToRawLongBits(value));
  }

  void setOther(int i, Object value) {
    there[i] = value != null;
    if (others == null) others = new Object[there.length];
    others[i] = value;
  }

  protected Object other(int i) {
    return others[i];
  }
}
