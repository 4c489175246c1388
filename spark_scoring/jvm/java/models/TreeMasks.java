package spark_scoring.jvm;

import java.util.ArrayList;
import java.util.Arrays;

/**
 * Trees of at most 64 leaves, all at once and without a walk: each place's number rules leaves out, and what no place
 * rules out is one leaf of each tree.
 *
 * A leaf is a bit, counted from the left, of half a word if all trees have at most 32 leaves, else of a word of its tree.
 * A node whose limit is below the number rules out the leaves on its left. The nodes of a place stand in order of their
 * limits, so the number's rank says how many of them do. What the first 16, 32, 48 … of them leave is a row of a table,
 * made once; the nodes behind those are gone through. So a row costs a load and an `and` for each word and place, where
 * a walk waits for one node after the other.
 */
final class TreeMasks extends TreeLeaves {
  private static final int STEP = 16, HALF = 32, WHOLE = 64;
  private static final long ALL = -1;
  private final int trees, places, words, bits;
  private final Ranks ranks;
  /** Where a place's ranks begin in the next three; the places that have rows. */
  private final int[] first, tall;
  /** Of each rank its row, and the nodes that are gone through, from and to. */
  private final int[] rowOf, from, to;
  private final long[][] rows;
  /** Of each node the word that it changes, and what it leaves of it. */
  private final int[] word;
  private final long[] left;
  /** The number of the value of each bit. */
  private final int[] worth;

  TreeMasks(TreeNodes in, int bits) {
    this.bits = bits;
    trees = in.roots.length;
    places = in.used.length;
    words = (trees * bits + WHOLE - 1) / WHOLE;
    ranks = new Ranks(in);
    first = new int[places + 1];
    for (int p = 0; p < places; p++) first[p + 1] = first[p] + ranks.count[p] + 1;
    to = new int[first[places]];
    for (int i = 0; i < in.place.length; i++) if (!in.isLeaf(i)) to[first[in.place[i]] + (int) in.limit[i] + 1]++;
    for (int i = 1; i < to.length; i++) to[i] += to[i - 1];
    word = new int[to[to.length - 1]];
    left = new long[word.length];
    worth = new int[words * WHOLE];
    int[] at = (int[]) to.clone();
    for (int g = 0; g < trees; g++) grow(in, in.roots[g], in.order[g], 0, at);
    from = new int[to.length];
    rowOf = new int[to.length];
    rows = rows();
    int n = 0;
    int[] found = new int[places];
    for (int p = 0; p < places; p++) if (rowOf[first[p + 1] - 1] > 0) found[n++] = p;
    tall = Arrays.copyOf(found, n);
  }

  /** Numbers the leaves below a node from `leaf` on, and returns the number behind the last one. */
  private int grow(TreeNodes in, int node, int tree, int leaf, int[] at) {
    if (in.isLeaf(node)) {
      worth[tree * bits + leaf] = (int) in.limit[node];
      return leaf + 1;
    }
    int middle = grow(in, in.next[node], tree, leaf, at);
    int i = at[first[in.place[node]] + (int) in.limit[node]]++;
    word[i] = tree * bits / WHOLE;
    left[i] = ~((1L << middle - leaf) - 1 << leaf + tree * bits % WHOLE);
    return grow(in, in.next[node] + 1, tree, middle, at);
  }

  /** The table, its first row that of a rank with too few nodes. */
  private long[][] rows() {
    long[] open = new long[words];
    Arrays.fill(open, ALL);
    ArrayList made = new ArrayList();
    made.add(open.clone());
    for (int p = 0; p < places; p++) {
      int start = to[first[p]], node = start, before = made.size() - 1;
      Arrays.fill(open, ALL);
      for (int i = first[p]; i < first[p + 1]; i++) {
        while (node < to[i]) {
          open[word[node]] &= left[node];
          if ((++node - start) % STEP == 0) made.add(open.clone());
        }
        int steps = (to[i] - start) / STEP;
        from[i] = start + steps * STEP;
        rowOf[i] = steps == 0 ? 0 : before + steps;
      }
    }
    return (long[][]) made.toArray(new long[0][]);
  }

  int scratch() {
    return Math.max(words * WHOLE / bits, places);
  }

  int keys() {
    return words + places;
  }

  long bytes() {
    return 8L * rows.length * words;
  }

  double[] arranged(double[] values, int width) {
    double[] own = new double[worth.length * width];
    for (int i = 0; i < worth.length; i++) System.arraycopy(values, worth[i] * width, own, i * width, width);
    return own;
  }

  void find(double[] row, int[] scratch, long[] keys) {
    ranks.find(row, keys, words);
    for (int p = 0; p < places; p++) scratch[p] = first[p] + (int) keys[words + p];
    Arrays.fill(keys, 0, words, ALL);
    int i = 0;
    for (; i + 4 <= tall.length; i += 4) {
      keep(keys, row(scratch, i), row(scratch, i + 1), row(scratch, i + 2), row(scratch, i + 3), words);
    }
    for (; i < tall.length; i++) keep(keys, row(scratch, i), words);
    for (int p = 0; p < places; p++) {
      for (int node = from[scratch[p]], end = to[scratch[p]]; node < end; node++) keys[word[node]] &= left[node];
    }
    if (bits == WHOLE) {
      for (int t = 0; t < trees; t++) scratch[t] = (t << 6) + Long.numberOfTrailingZeros(keys[t]);
      return;
    }
    for (int w = 0, t = 0; w < words; w++, t += 2) {
      long both = keys[w];
      scratch[t] = (t << 5) + Integer.numberOfTrailingZeros((int) both);
      scratch[t + 1] = (t + 1 << 5) + Integer.numberOfTrailingZeros((int) (both >>> HALF));
    }
  }

  private long[] row(int[] ranks, int i) {
    return rows[rowOf[ranks[tall[i]]]];
  }

  // arrays that are all read at the same place: so the JVM makes vectors of it
  private static void keep(long[] open, long[] a, long[] b, long[] c, long[] d, int words) {
    for (int w = 0; w < words; w++) open[w] &= a[w] & b[w] & c[w] & d[w];
  }

  private static void keep(long[] open, long[] a, int words) {
    for (int w = 0; w < words; w++) open[w] &= a[w];
  }
}
