package spark_scoring.jvm;

import java.util.Arrays;

/**
 * The limits that nodes compare a place with, in order: x <= limit is the same as rank of x <= rank of limit.
 *
 * A rank is small, so a node with ranks is half of one with limits; a row's numbers are ranked once for all trees. Four
 * are looked for at a time, in as many steps as the longest of the four needs.
 */
final class Ranks {
  private static final int WAYS = 4;
  /** How many limits each place has. */
  final int[] count;
  private final int[] used, first, halves;
  private final long[] limits;
  private final boolean singles;

  /** Each node's own limit is replaced by its rank. */
  Ranks(TreeNodes nodes) {
    used = nodes.used;
    singles = nodes.singles();
    int places = used.length;
    double[][] own = distinct(nodes);
    count = new int[places];
    first = new int[places];
    halves = new int[places];
    int length = 0;
    for (int p = 0; p < places; p++) {
      count[p] = own[p].length;
      for (int i = p & -WAYS; i < places && i < (p & -WAYS) + WAYS; i++) {
        halves[p] = Math.max(halves[p], Integer.highestOneBit(own[i].length));
      }
      first[p] = length;
      length += Math.max(1, 2 * halves[p]);
    }
    limits = new long[length];
    Arrays.fill(limits, Long.MAX_VALUE);
    for (int p = 0; p < places; p++) {
      for (int i = 0; i < count[p]; i++) limits[first[p] + i] = ordered(own[p][i]);
    }
    for (int i = 0; i < nodes.place.length; i++) {
      if (!nodes.isLeaf(i)) nodes.limit[i] = Arrays.binarySearch(own[nodes.place[i]], nodes.limit[i] + 0.0);
    }
  }

  private static double[][] distinct(TreeNodes nodes) {
    int[] count = new int[nodes.used.length];
    double[][] own = new double[count.length][];
    for (int i = 0; i < nodes.place.length; i++) if (!nodes.isLeaf(i)) count[nodes.place[i]]++;
    for (int p = 0; p < own.length; p++) own[p] = new double[count[p]];
    for (int i = 0; i < nodes.place.length; i++) {
      if (!nodes.isLeaf(i)) own[nodes.place[i]][--count[nodes.place[i]]] = nodes.limit[i] + 0.0;
    }
    for (int p = 0; p < own.length; p++) {
      double[] values = own[p];
      Arrays.sort(values);
      int n = 0;
      for (int i = 0; i < values.length; i++) if (n == 0 || values[n - 1] != values[i]) values[n++] = values[i];
      own[p] = Arrays.copyOf(values, n);
    }
    return own;
  }

  /** Whole numbers in the order of doubles; 0 for both zeros, and above all others for NaN. */
  static long ordered(double x) {
    long bits = Double.doubleToLongBits(x + 0.0);
    return bits ^ bits >> 63 & Long.MAX_VALUE;
  }

  private long key(double x) {
    return ordered(singles ? (float) x : x);
  }

  /** Of each place, how many of its limits are below the row's number, all of them for NaN: from ranks[at] on. */
  void find(double[] row, long[] ranks, int at) {
    final long[] limits = this.limits;
    int i = 0;
    for (; i + WAYS <= used.length; i += WAYS, at += WAYS) {
      long x = key(row[used[i]]), y = key(row[used[i + 1]]), z = key(row[used[i + 2]]), u = key(row[used[i + 3]]);
      int a = first[i], b = first[i + 1], c = first[i + 2], d = first[i + 3];
      for (int half = halves[i]; half > 0; half >>= 1) {
        // without a branch that depends on x: half of those would be guessed wrong
        a = limits[a + half - 1] < x ? a + half : a;
        b = limits[b + half - 1] < y ? b + half : b;
        c = limits[c + half - 1] < z ? c + half : c;
        d = limits[d + half - 1] < u ? d + half : d;
      }
      ranks[at] = a - first[i];
      ranks[at + 1] = b - first[i + 1];
      ranks[at + 2] = c - first[i + 2];
      ranks[at + 3] = d - first[i + 3];
    }
    for (; i < used.length; i++, at++) {
      long x = key(row[used[i]]);
      int a = first[i];
      for (int half = halves[i]; half > 0; half >>= 1) a = limits[a + half - 1] < x ? a + half : a;
      ranks[at] = a - first[i];
    }
  }
}
