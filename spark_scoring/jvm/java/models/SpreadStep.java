package spark_scoring.jvm;

/** A place of the row that depends on a code alone. */
final class SpreadStep extends ModelStep {
  private final int code, to;
  private final double[] values;

  SpreadStep(ModelReader in) {
    code = in.number();
    to = in.number();
    values = in.doubles();
  }

  boolean run(double[] row, int[] codes, Texts texts) {
    row[to] = values[codes[code]];
    return true;
  }
}
