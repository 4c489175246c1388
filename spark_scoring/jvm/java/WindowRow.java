package spark_scoring.jvm;

/** The aggregates of windows, as they are found. */
final class WindowRow extends WordsRow {
  private final Object[] others;
  private final boolean[] doubles;

  /** `doubles`: of each aggregate, whether it is one. */
  WindowRow(boolean[] doubles) {
    super(doubles.length);
    this.doubles = doubles;
    others = new Object[doubles.length];
  }

  void setLong(int i, long value) {
    there[i] = true;
    words[i] = value;
  }

  void setDouble(int i, double value) {
    setLong(i, Double.doubleToRawLongBits(value));
  }

  void setOther(int i, Object value) {
    there[i] = value != null;
    others[i] = value;
  }

  public Object genericGet(int i) {
    if (!there[i] || others[i] != null) return others[i];
    return doubles[i] ? (Object) Double.valueOf(getDouble(i)) : Long.valueOf(words[i]);
  }
}
