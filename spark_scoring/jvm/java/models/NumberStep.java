package spark_scoring.jvm;

/** One operation on many places: row[to] = operation(row[from], a). The numbers are those of `operations.py`. */
final class NumberStep extends ModelStep {
  private static final double ZERO = (double) 1e-35f;
  private final int operation;
  private final int[] from, to;
  private final double[] a;

  NumberStep(ModelReader in) {
    operation = in.number();
    from = in.ints();
    to = in.ints();
    a = in.doubles();
  }

  boolean run(double[] row, int[] codes, Texts texts) {
    int n = from.length;
    switch (operation) {
      case 0: for (int i = 0; i < n; i++) row[to[i]] = row[from[i]] - a[i]; break;
      case 1: for (int i = 0; i < n; i++) row[to[i]] = row[from[i]] / a[i]; break;
      case 2: for (int i = 0; i < n; i++) row[to[i]] = row[from[i]] * a[i]; break;
      case 3: for (int i = 0; i < n; i++) row[to[i]] = row[from[i]] + a[i]; break;
      case 4: for (int i = 0; i < n; i++) row[to[i]] = Math.max(row[from[i]], a[i]); break;
      case 5: for (int i = 0; i < n; i++) row[to[i]] = Math.min(row[from[i]], a[i]); break;
      case 6: for (int i = 0; i < n; i++) row[to[i]] = row[from[i]] != row[from[i]] ? a[i] : row[from[i]]; break;
      case 7: for (int i = 0; i < n; i++) row[to[i]] = nearZero(row[from[i]]) ? a[i] : row[from[i]]; break;
      case 8: for (int i = 0; i < n; i++) row[to[i]] = (double) (float) row[from[i]]; break;
      default: for (int i = 0; i < n; i++) row[to[i]] = function(row[from[i]], a[i]);
    }
    return true;
  }

  private static boolean nearZero(double x) {
    return !(Math.abs(x) > ZERO);
  }

  private double function(double x, double a) {
    switch (operation) {
      case 9: return x != x ? 1.0 : 0.0;
      case 10: return Math.log(x);
      case 11: return Math.log1p(x);
      case 12: return Math.log10(x);
      case 13: return Math.sqrt(x);
      case 14: return Math.exp(x);
      case 15: return Math.expm1(x);
      case 16: return Math.abs(x);
      case 17: return x * x;
      case 18: return yeoJohnson(x, a);
      case 19: return Math.abs(x) <= ZERO ? 0.0 : x;
      default: throw new IllegalStateException("no such operation: " + operation);
    }
  }

  private static double yeoJohnson(double x, double a) {
    if (x >= 0) return Math.abs(a) < Math.ulp(1.0) ? Math.log1p(x) : Math.expm1(a * Math.log1p(x)) / a;
    return Math.abs(a - 2) > Math.ulp(1.0) ? -Math.expm1((2 - a) * Math.log1p(-x)) / (2 - a) : -Math.log1p(-x);
  }
}
