package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.util.ArrayData;

/** Search in an ascending array of instants. */
final class Search {
  private Search() {}

  /**
   * How many elements are less than the value: guessed as if they were evenly spread, then narrowed in steps that
   * double. Of even times one look or two suffice; of any others it takes at most twice those of a binary search.
   */
  static int below(ArrayData ascending, long value) {
    int n = ascending.numElements();
    if (n == 0 || ascending.getLong(0) >= value) return 0;
    long first = ascending.getLong(0), last = ascending.getLong(n - 1);
    if (last < value) return n;
    int low = (int) (((double) value - first) / ((double) last - first) * (n - 1));
    int step = 1, high;
    if (ascending.getLong(low) < value) {
      for (high = low + 1; high < n && ascending.getLong(high) < value; step <<= 1) {
        low = high;
        high = Math.min(n, low + step);
      }
    } else {
      for (high = low, low = high - 1; ascending.getLong(low) >= value; step <<= 1) {
        high = low;
        low = Math.max(0, high - step);
      }
    }
    // the element at low is less, the one at high is not
    while (high - low > 1) {
      int middle = (low + high) >>> 1;
      if (ascending.getLong(middle) < value) low = middle; else high = middle;
    }
    return high;
  }
}
