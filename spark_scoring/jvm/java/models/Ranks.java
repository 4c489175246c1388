package spark_scoring.jvm;

import java.util.Arrays;

/**
 * The limits that nodes compare a place with, in order: x <= limit is the same as rank of x <= rank of limit.
 *
 * A rank is small, so a node with ranks is half of one with limits; a row's numbers are ranked once for all trees.
 */
final class Ranks {
  private final double[] limits;
  private final int[] from;

  /** The limits of places 0 to places - 1; each node's own is replaced by its rank. A leaf, its own successor, keeps it. */
  Ranks(int places, int[] place, double[] limit, int[] next) {
    double[][] own = new double[places][];
    int[] count = new int[places];
    for (int i = 0; i < place.length; i++) if (next[i] != i) count[place[i]]++;
    for (int p = 0; p < places; p++) own[p] = new double[count[p]];
    for (int i = 0; i < place.length; i++) if (next[i] != i) own[place[i]][--count[place[i]]] = limit[i] + 0.0;
    from = new int[places + 1];
    for (int p = 0; p < places; p++) {
      own[p] = distinct(own[p]);
      from[p + 1] = from[p] + own[p].length;
    }
    limits = new double[from[places]];
    for (int p = 0; p < places; p++) System.arraycopy(own[p], 0, limits, from[p], own[p].length);
    for (int i = 0; i < place.length; i++) if (next[i] != i) limit[i] = rank(place[i], limit[i]);
  }

  private static double[] distinct(double[] values) {
    Arrays.sort(values);
    int n = 0;
    for (int i = 0; i < values.length; i++) if (n == 0 || values[n - 1] != values[i]) values[n++] = values[i];
    return Arrays.copyOf(values, n);
  }

  /** How many of the place's limits are below x; all of them for NaN. */
  int rank(int place, double x) {
    if (x != x) return from[place + 1] - from[place];
    int first = from[place], at = first, left = from[place + 1] - first;
    while (left > 1) {
      // without a branch that depends on x: half of those would be guessed wrong
      int half = left >> 1;
      at = limits[at + half - 1] < x ? at + half : at;
      left -= half;
    }
    return (left == 1 && limits[at] < x ? at + 1 : at) - first;
  }
}
