package spark_scoring.jvm;

/** From margins to a score and a label. */
final class ModelLink {
  static final int IDENTITY = 0, EXP = 1, SIGMOID = 2, SOFTMAX = 3, SHARES = 4, SIGMOIDS = 5, SQUARE = 6, TWO_WAY = 7;
  static final int LOG1P_EXP = 8, NORMALIZED = 9;
  static final int GREATEST = 0, NOT_NEGATIVE = 1, POSITIVE = 2;
  private final int link, rule, outputs;
  private final boolean floats;
  private final double factor;
  final byte[][] labels;

  ModelLink(ModelReader in) {
    outputs = in.number();
    link = in.number();
    rule = in.number();
    floats = in.number() == 1;
    factor = in.doubles()[0];
    labels = in.texts();
  }

  int outputs() {
    return outputs;
  }

  /** The score; the place of the label is left in label[0]. */
  double score(double[] m, int[] label) {
    if (labels.length == 0) return regression(m[0]);
    return labels.length == 2 && link != SHARES && link != SOFTMAX ? two(m[0], label) : many(m, label);
  }

  private double regression(double m) {
    switch (link) {
      case EXP: return rounded(Math.exp(m));
      case SIGMOID: return rounded(1.0 / (1.0 + Math.exp(-factor * m)));
      case SHARES: return m / factor;
      case SQUARE: return m < 0 ? -m * m : m * m;
      case LOG1P_EXP: return Math.log1p(Math.exp(m));
      default: return m;
    }
  }

  private double two(double m, int[] label) {
    double one = rounded(1.0 / (1.0 + Math.exp(-factor * m))), zero = 1.0 - one;
    if (link == TWO_WAY) {
      double top = Math.abs(m), up = Math.exp(m - top), down = Math.exp(-m - top);
      one = up / (up + down);
      zero = down / (up + down);
    }
    boolean second = rule == NOT_NEGATIVE ? m >= 0 : rule == POSITIVE ? m > 0 : one > zero;
    label[0] = second ? 1 : 0;
    return one;
  }

  private double many(double[] m, int[] label) {
    int best = 0;
    for (int k = 1; k < outputs; k++) if (m[k] > m[best]) best = k;
    label[0] = best;
    if (link == SHARES) return m[labels.length == 2 ? 1 : best] / factor;
    if (link == SIGMOIDS) return 1.0 / (1.0 + Math.exp(-factor * m[best]));
    double sum = 0;
    if (link == NORMALIZED) {
      for (int k = 0; k < outputs; k++) sum += 1.0 / (1.0 + Math.exp(-m[k]));
      return 1.0 / (1.0 + Math.exp(-m[best])) / sum;
    }
    double top = m[best];
    for (int k = 0; k < outputs; k++) sum += Math.exp(m[k] - top);
    // shares that are equal as float32: the first of them wins
    for (int k = best - 1; floats && k >= 0; k--) if (rounded(Math.exp(m[k] - top) / sum) == rounded(1 / sum)) best = k;
    label[0] = best;
    return rounded(Math.exp(m[labels.length == 2 ? 1 : best] - top) / sum);
  }

  private double rounded(double x) {
    return floats ? (double) (float) x : x;
  }
}
