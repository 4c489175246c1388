package spark_scoring.jvm;

/**
 * Trees as one flat array, eight walked at a time: a walk waits for memory at every node, eight wait together.
 *
 * Numbers are compared as whole numbers of the same order, the keys: float32 by their bits, doubles by their ranks among
 * the limits. A node is one word: its limit, where it leads, and the key that it compares. It leads to `next` if
 * key <= limit, else to the node behind that. A leaf compares the place that is always 0 with the number of its value,
 * and so leads to itself. Where nodes are too many for that, a node is two words, and doubles are compared by their
 * bits. Missing values are infinities by then (see `forest.py`): nothing but this one comparison is left.
 */
final class TreeWalk extends TreeLeaves {
  private static final int WAYS = 8;
  private final boolean narrow;
  private final int trees, shift;
  private final Ranks ranks;
  private final long[] nodes;
  private final int[] used, roots, depths, order;

  TreeWalk(TreeNodes in) {
    trees = in.roots.length;
    used = in.used;
    roots = in.roots;
    depths = in.depths;
    order = in.order;
    shift = 32 - Integer.numberOfLeadingZeros(used.length);
    narrow = in.narrow();
    ranks = in.ranked() ? new Ranks(in) : null;
    nodes = narrow ? narrow(in) : wide(in);
  }

  private static long[] wide(TreeNodes in) {
    long[] nodes = new long[2 * in.place.length];
    for (int i = 0; i < in.place.length; i++) {
      nodes[2 * i] = in.isLeaf(i) ? (long) in.limit[i] : Ranks.ordered(in.limit[i]);
      nodes[2 * i + 1] = (long) (2 * in.next[i]) << 32 | in.place[i];
    }
    return nodes;
  }

  private long[] narrow(TreeNodes in) {
    long[] nodes = new long[in.place.length];
    for (int i = 0; i < nodes.length; i++) {
      int word = in.ranked() || in.isLeaf(i) ? (int) in.limit[i] : ordered((float) in.limit[i]);
      nodes[i] = (long) word << 32 | in.next[i] << shift | in.place[i];
    }
    return nodes;
  }

  /** Whole numbers in the order of float32 numbers; 0 for both zeros. */
  private static int ordered(float x) {
    int bits = Float.floatToRawIntBits(x + 0.0f);
    return bits ^ bits >> 31 & Integer.MAX_VALUE;
  }

  int scratch() {
    return trees;
  }

  int keys() {
    return used.length;
  }

  long bytes() {
    return 0;
  }

  double[] arranged(double[] values, int width) {
    return values;
  }

  void start(double[] row, long[] keys) {
    if (ranks != null) ranks.find(row, keys, 0);
    else if (narrow) for (int i = 0; i < used.length; i++) keys[i] = ordered((float) row[used[i]]);
    else for (int i = 0; i < used.length; i++) keys[i] = Ranks.ordered(row[used[i]]);
  }

  int find(int tree, int[] leaves, long[] keys) {
    if (narrow) walkNarrow(keys, leaves);
    else walkWide(keys, leaves);
    return trees;
  }

  private int worth(int leaf) {
    return narrow ? (int) (nodes[leaf] >>> 32) : (int) nodes[leaf];
  }

  private void walkWide(long[] keys, int[] leaves) {
    final long[] nodes = this.nodes;
    int g = 0;
    long w;
    for (; g + WAYS <= trees; g += WAYS) {
      int a = 2 * roots[g], b = 2 * roots[g + 1], c = 2 * roots[g + 2], d = 2 * roots[g + 3];
      int e = 2 * roots[g + 4], f = 2 * roots[g + 5], h = 2 * roots[g + 6], i = 2 * roots[g + 7];
      for (int left = depths[g + WAYS - 1]; left > 0; left--) {
        w = nodes[a + 1];
        a = (int) (w >>> 32) + (nodes[a] < keys[(int) w] ? 2 : 0);
        w = nodes[b + 1];
        b = (int) (w >>> 32) + (nodes[b] < keys[(int) w] ? 2 : 0);
        w = nodes[c + 1];
        c = (int) (w >>> 32) + (nodes[c] < keys[(int) w] ? 2 : 0);
        w = nodes[d + 1];
        d = (int) (w >>> 32) + (nodes[d] < keys[(int) w] ? 2 : 0);
        w = nodes[e + 1];
        e = (int) (w >>> 32) + (nodes[e] < keys[(int) w] ? 2 : 0);
        w = nodes[f + 1];
        f = (int) (w >>> 32) + (nodes[f] < keys[(int) w] ? 2 : 0);
        w = nodes[h + 1];
        h = (int) (w >>> 32) + (nodes[h] < keys[(int) w] ? 2 : 0);
        w = nodes[i + 1];
        i = (int) (w >>> 32) + (nodes[i] < keys[(int) w] ? 2 : 0);
        if ((left & 3) == 0 && isLeaf(a) && isLeaf(b) && isLeaf(c) && isLeaf(d) && isLeaf(e) && isLeaf(f) && isLeaf(h)
            && isLeaf(i)) break;
      }
      leaves[order[g]] = worth(a);
      leaves[order[g + 1]] = worth(b);
      leaves[order[g + 2]] = worth(c);
      leaves[order[g + 3]] = worth(d);
      leaves[order[g + 4]] = worth(e);
      leaves[order[g + 5]] = worth(f);
      leaves[order[g + 6]] = worth(h);
      leaves[order[g + 7]] = worth(i);
    }
    for (; g < trees; g++) {
      int a = 2 * roots[g];
      while (!isLeaf(a)) {
        w = nodes[a + 1];
        a = (int) (w >>> 32) + (nodes[a] < keys[(int) w] ? 2 : 0);
      }
      leaves[order[g]] = worth(a);
    }
  }

  private void walkNarrow(long[] keys, int[] leaves) {
    final long[] nodes = this.nodes;
    final int shift = this.shift, mask = (1 << shift) - 1;
    int g = 0;
    long w;
    for (; g + WAYS <= trees; g += WAYS) {
      int a = roots[g], b = roots[g + 1], c = roots[g + 2], d = roots[g + 3];
      int e = roots[g + 4], f = roots[g + 5], h = roots[g + 6], i = roots[g + 7];
      for (int left = depths[g + WAYS - 1]; left > 0; left--) {
        w = nodes[a];
        a = ((int) w >>> shift) + (int) ((w >> 32) - keys[(int) w & mask] >>> 63);
        w = nodes[b];
        b = ((int) w >>> shift) + (int) ((w >> 32) - keys[(int) w & mask] >>> 63);
        w = nodes[c];
        c = ((int) w >>> shift) + (int) ((w >> 32) - keys[(int) w & mask] >>> 63);
        w = nodes[d];
        d = ((int) w >>> shift) + (int) ((w >> 32) - keys[(int) w & mask] >>> 63);
        w = nodes[e];
        e = ((int) w >>> shift) + (int) ((w >> 32) - keys[(int) w & mask] >>> 63);
        w = nodes[f];
        f = ((int) w >>> shift) + (int) ((w >> 32) - keys[(int) w & mask] >>> 63);
        w = nodes[h];
        h = ((int) w >>> shift) + (int) ((w >> 32) - keys[(int) w & mask] >>> 63);
        w = nodes[i];
        i = ((int) w >>> shift) + (int) ((w >> 32) - keys[(int) w & mask] >>> 63);
        if ((left & 3) == 0 && stays(a) && stays(b) && stays(c) && stays(d) && stays(e) && stays(f) && stays(h)
            && stays(i)) break;
      }
      leaves[order[g]] = worth(a);
      leaves[order[g + 1]] = worth(b);
      leaves[order[g + 2]] = worth(c);
      leaves[order[g + 3]] = worth(d);
      leaves[order[g + 4]] = worth(e);
      leaves[order[g + 5]] = worth(f);
      leaves[order[g + 6]] = worth(h);
      leaves[order[g + 7]] = worth(i);
    }
    for (; g < trees; g++) {
      int a = roots[g];
      while (!stays(a)) {
        w = nodes[a];
        a = ((int) w >>> shift) + (int) ((w >> 32) - keys[(int) w & mask] >>> 63);
      }
      leaves[order[g]] = worth(a);
    }
  }

  private boolean stays(int node) {
    return (int) nodes[node] >>> shift == node;
  }

  private boolean isLeaf(int node) {
    return (int) (nodes[node + 1] >>> 32) == node;
  }
}
