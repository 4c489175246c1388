package spark_scoring.jvm;

/** Places that must not be infinite, and must not be missing either unless that is allowed. */
final class CheckStep extends ModelStep {
  private final boolean missing;
  private final int[] places;

  CheckStep(ModelReader in) {
    missing = in.number() == 1;
    places = in.ints();
  }

  boolean run(double[] row, int[] codes, Texts texts) {
    double sum = 0;
    if (missing) {
      for (int i = 0; i < places.length; i++) if (Double.isInfinite(row[places[i]])) return false;
      return true;
    }
    // x * 0 is 0, or NaN for what is not finite
    for (int i = 0; i < places.length; i++) sum += row[places[i]] * 0.0;
    return sum == 0;
  }
}
