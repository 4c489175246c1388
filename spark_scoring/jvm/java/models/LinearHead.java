package spark_scoring.jvm;

/** Linear models: weights of places, and what each code is worth, summed in one order. */
final class LinearHead extends ModelHead {
  private final double[] start;
  private final int[] places, codes, widths;
  private final double[] weights;
  private final double[][] worth;

  LinearHead(ModelReader in) {
    start = in.doubles();
    places = in.ints();
    weights = in.doubles();
    codes = in.ints();
    widths = in.ints();
    worth = new double[codes.length][];
    for (int i = 0; i < codes.length; i++) worth[i] = in.doubles();
  }

  int scratch() {
    return 0;
  }

  int keys() {
    return 0;
  }

  long bytes() {
    return 0;
  }

  void margins(double[] row, int[] found, int[] scratch, long[] keys, double[] margins) {
    for (int k = 0; k < start.length; k++) {
      double sum = start[k];
      int at = k * places.length;
      for (int i = 0; i < places.length; i++) sum += row[places[i]] * weights[at + i];
      for (int i = 0; i < codes.length; i++) sum += worth[i][k * widths[i] + found[codes[i]]];
      margins[k] = sum;
    }
  }
}
