package spark_scoring.jvm;

import java.util.Arrays;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Trees of at most 64 leaves, all at once and without a walk: each place's number rules leaves out, and what no place
 * rules out is one leaf of each tree.
 *
 * A leaf is a bit, counted from the left, of half a word if all trees have at most 32 leaves, else of a word of its tree.
 * A node whose limit is below the number rules out the leaves on its left. Trees whose words fill a vector are a block.
 * What a number leaves of a block is a row of a table: the number's rank among the limits of its place says which. So a
 * row costs a load and an `and` for each place and block, where a walk waits for one node after the other.
 */
final class TreeMasks extends TreeLeaves {
  private static final VectorSpecies<Long> VECTOR = LongVector.SPECIES_PREFERRED;
  private static final int WORDS = VECTOR.length(), SHORTEST = 4, HALF = 32, WHOLE = 64;
  private static final long ALL = -1;
  /** Two blocks are looked at together, and the numbers of their rows share an integer. */
  private static final int PAIR = 2 * WORDS, LOW = 16, LOW_BITS = (1 << LOW) - 1;
  private final int trees, places, bits, together, pairs;
  private final Ranks ranks;
  /** Where a place's ranks begin in `rowsOf`, which has an integer for each rank and pair. */
  private final int[] first, rowsOf;
  private final long[] table;
  /** The number of the value of each bit. */
  private final int[] worth;

  /** Nodes in the order of place and limit: how many come before a rank, what each leaves of which word. */
  private static final class Cuts {
    final int[] before, at, word;
    final long[] left;

    Cuts(TreeNodes in, int[] first) {
      before = new int[first[first.length - 1]];
      for (int i = 0; i < in.place.length; i++) {
        if (!in.isLeaf(i)) before[first[in.place[i]] + (int) in.limit[i] + 1]++;
      }
      for (int i = 1; i < before.length; i++) before[i] += before[i - 1];
      at = (int[]) before.clone();
      word = new int[before[before.length - 1]];
      left = new long[word.length];
    }
  }

  /** Whether this processor's vectors are long enough for it. */
  static boolean fit() {
    return WORDS >= SHORTEST;
  }

  TreeMasks(TreeNodes in, int bits) {
    this.bits = bits;
    trees = in.roots.length;
    places = in.used.length;
    together = PAIR * WHOLE / bits;
    pairs = (trees + together - 1) / together;
    worth = new int[pairs * together * bits];
    ranks = new Ranks(in);
    first = new int[places + 1];
    for (int p = 0; p < places; p++) first[p + 1] = first[p] + ranks.count[p] + 1;
    Cuts cuts = new Cuts(in, first);
    for (int g = 0; g < trees; g++) grow(in, in.roots[g], in.order[g], 0, cuts);
    rowsOf = new int[first[places] * pairs];
    table = table(cuts);
  }

  /** Numbers the leaves below a node from `leaf` on, and returns the number behind the last one. */
  private int grow(TreeNodes in, int node, int tree, int leaf, Cuts cuts) {
    if (in.isLeaf(node)) {
      worth[tree * bits + leaf] = (int) in.limit[node];
      return leaf + 1;
    }
    int middle = grow(in, in.next[node], tree, leaf, cuts);
    int i = cuts.at[first[in.place[node]] + (int) in.limit[node]]++;
    cuts.word[i] = tree * bits / WHOLE;
    cuts.left[i] = ~((1L << middle - leaf) - 1 << leaf + tree * bits % WHOLE);
    return grow(in, in.next[node] + 1, tree, middle, cuts);
  }

  /** The table, its first row that of a number that rules nothing out; and `rowsOf` filled. */
  private long[] table(Cuts cuts) {
    long[] table = new long[(cuts.word.length + 1) * WORDS], open = new long[pairs * PAIR];
    int[] row = new int[2 * pairs];
    Arrays.fill(table, 0, WORDS, ALL);
    int made = 1, node = 0;
    for (int p = 0; p < places; p++) {
      Arrays.fill(open, ALL);
      Arrays.fill(row, 0);
      for (int i = first[p]; i < first[p + 1]; i++) {
        for (int old = made; node < cuts.before[i]; node++) {
          int block = cuts.word[node] / WORDS;
          if (row[block] < old) row[block] = made++;
          open[cuts.word[node]] &= cuts.left[node];
          System.arraycopy(open, block * WORDS, table, row[block] * WORDS, WORDS);
        }
        for (int k = 0; k < pairs; k++) rowsOf[i * pairs + k] = row[2 * k] | row[2 * k + 1] << LOW;
      }
    }
    long[] rows = new long[CacheLines.length(made * WORDS)];
    System.arraycopy(table, 0, rows, CacheLines.HEAD, made * WORDS);
    return rows;
  }

  int scratch() {
    return pairs * together;
  }

  int keys() {
    return PAIR + places;
  }

  long bytes() {
    return 8L * table.length + 4L * rowsOf.length;
  }

  double[] arranged(double[] values, int width) {
    double[] own = new double[worth.length * width];
    for (int i = 0; i < worth.length; i++) System.arraycopy(values, worth[i] * width, own, i * width, width);
    return own;
  }

  void start(double[] row, long[] keys) {
    ranks.find(row, keys, PAIR);
    for (int p = 0; p < places; p++) keys[PAIR + p] = (first[p] + keys[PAIR + p]) * pairs;
  }

  int find(int tree, int[] leaves, long[] keys) {
    keep(tree / together, keys);
    if (bits == WHOLE) {
      for (int w = 0, t = tree; w < PAIR; w++, t++) leaves[t] = (t << 6) + Long.numberOfTrailingZeros(keys[w]);
    } else {
      for (int w = 0, t = tree; w < PAIR; w++, t += 2) {
        long both = keys[w];
        leaves[t] = (t << 5) + Integer.numberOfTrailingZeros((int) both);
        leaves[t + 1] = (t + 1 << 5) + Integer.numberOfTrailingZeros((int) (both >>> HALF));
      }
    }
    return Math.min(trees, tree + together);
  }

  private void keep(int pair, long[] keys) {
    final long[] table = this.table;
    final int[] rowsOf = this.rowsOf;
    LongVector a = LongVector.broadcast(VECTOR, ALL), b = a;
    for (int p = PAIR; p < PAIR + places; p++) {
      int rows = rowsOf[(int) keys[p] + pair];
      a = a.and(LongVector.fromArray(VECTOR, table, (rows & LOW_BITS) * WORDS + CacheLines.HEAD));
      b = b.and(LongVector.fromArray(VECTOR, table, (rows >>> LOW) * WORDS + CacheLines.HEAD));
    }
    a.intoArray(keys, 0);
    b.intoArray(keys, WORDS);
  }
}
