package spark_scoring.jvm;

import java.util.Arrays;

/** The place of a number among known ones in ascending order, or of its bin; behind them unknown, and missing. */
final class NumberCodeStep extends ModelStep {
  private final boolean bins;
  private final int from, code;
  private final double[] known;
  private final int[] order;

  NumberCodeStep(ModelReader in, boolean bins) {
    this.bins = bins;
    from = in.number();
    code = in.number();
    known = in.doubles();
    order = in.ints();
  }

  boolean run(double[] row, int[] codes, Texts texts) {
    double x = row[from] + 0.0;
    codes[code] = bins ? bin(x) : place(x);
    return true;
  }

  private int place(double x) {
    if (x != x) return known.length + 1;
    int found = Arrays.binarySearch(known, x);
    return found < 0 ? known.length : order[found];
  }

  /** How many edges are not above x. */
  private int bin(double x) {
    if (x != x) return known.length + 2;
    int below = 0;
    while (below < known.length && known[below] <= x) below++;
    return below;
  }
}
