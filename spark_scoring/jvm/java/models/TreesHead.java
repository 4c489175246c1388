package spark_scoring.jvm;

import java.util.Arrays;

/**
 * Trees as one flat array, eight walked at a time: a walk waits for memory at every node, eight wait together.
 *
 * Numbers are compared as whole numbers of the same order, the keys: float32 by their bits, doubles by their ranks among
 * the limits. A node is one word: its limit, where it leads, and the key that it compares. It leads to `next` if
 * key <= limit, else to the node behind that. A leaf compares the place that is always 0 with the number of its value,
 * and so leads to itself. Where nodes are too many for that, a node is two words, and doubles are compared by their
 * bits. Missing values are infinities by then (see `forest.py`): nothing but this one comparison is left. Nodes that ask
 * for a set of categories compare a place of their own, 0 for one that goes left and 1 for another, filled before the
 * walk. Trees stand in order of depth and are summed in their own.
 */
final class TreesHead extends ModelHead {
  private static final int WAYS = 8, DOUBLES = 0, RANKS = 2;
  private final boolean floats, narrow;
  private final int width, shift, setsAt;
  private final Ranks ranks;
  private final double[] start, values;
  private final long[] nodes;
  private final int[] used, roots, depths, order, outputs;
  private final int[] setFrom, setStart, setSize, setFlags;
  private final long[] bits;

  TreesHead(ModelReader in) {
    floats = in.number() == 1;
    width = in.number();
    start = in.doubles();
    int kind = in.number();
    int[] place = in.ints();
    double[] limit = in.doubles();
    int[] next = in.ints();
    values = in.doubles();
    roots = in.ints();
    depths = in.ints();
    order = in.ints();
    outputs = in.ints();
    setsAt = in.number();
    setFrom = in.ints();
    setStart = in.ints();
    setSize = in.ints();
    setFlags = in.ints();
    bits = in.longs();
    used = used(place);
    for (int i = 0; i < place.length; i++) place[i] = Arrays.binarySearch(used, place[i]);
    shift = 32 - Integer.numberOfLeadingZeros(used.length);
    narrow = kind != DOUBLES;
    ranks = kind == RANKS ? new Ranks(used.length, place, limit, next) : null;
    nodes = narrow ? narrow(place, limit, next, shift, ranks != null) : wide(place, limit, next);
  }

  private static int[] used(int[] places) {
    int[] sorted = (int[]) places.clone();
    Arrays.sort(sorted);
    int n = 0;
    for (int i = 0; i < sorted.length; i++) if (n == 0 || sorted[n - 1] != sorted[i]) sorted[n++] = sorted[i];
    return Arrays.copyOf(sorted, n);
  }

  private static long[] wide(int[] place, double[] limit, int[] next) {
    long[] nodes = new long[2 * place.length];
    for (int i = 0; i < place.length; i++) {
      nodes[2 * i] = next[i] == i ? (long) limit[i] : ordered(limit[i]);
      nodes[2 * i + 1] = (long) (2 * next[i]) << 32 | place[i];
    }
    return nodes;
  }

  private static long[] narrow(int[] place, double[] limit, int[] next, int shift, boolean ranked) {
    long[] nodes = new long[place.length];
    for (int i = 0; i < nodes.length; i++) {
      int word = ranked || next[i] == i ? (int) limit[i] : ordered((float) limit[i]);
      nodes[i] = (long) word << 32 | next[i] << shift | place[i];
    }
    return nodes;
  }

  /** Whole numbers in the order of doubles; 0 for both zeros. */
  private static long ordered(double x) {
    long bits = Double.doubleToRawLongBits(x + 0.0);
    return bits ^ bits >> 63 & Long.MAX_VALUE;
  }

  private static int ordered(float x) {
    int bits = Float.floatToRawIntBits(x + 0.0f);
    return bits ^ bits >> 31 & Integer.MAX_VALUE;
  }

  /** The value of a leaf. */
  private int worth(int leaf) {
    return narrow ? (int) (nodes[leaf] >>> 32) : (int) nodes[leaf];
  }

  int scratch() {
    return roots.length;
  }

  int keys() {
    return used.length;
  }

  void margins(double[] row, int[] codes, int[] leaves, long[] keys, double[] margins) {
    for (int set = 0; set < setFrom.length; set++) row[setsAt + set] = isIn(set, row[setFrom[set]]) ? 0 : 1;
    if (!narrow) {
      for (int i = 0; i < used.length; i++) keys[i] = ordered(row[used[i]]);
      walk(keys, leaves, nodes);
    } else {
      if (ranks == null) for (int i = 0; i < used.length; i++) keys[i] = ordered((float) row[used[i]]);
      else for (int i = 0; i < used.length; i++) keys[i] = ranks.rank(i, row[used[i]]);
      walkNarrow(keys, leaves, nodes, shift, (1 << shift) - 1);
    }
    if (floats) addFloats(leaves, margins);
    else add(leaves, margins);
  }

  private void add(int[] leaves, double[] margins) {
    System.arraycopy(start, 0, margins, 0, start.length);
    if (width == 1 && start.length == 1) {
      double sum = start[0];
      for (int t = 0; t < leaves.length; t++) sum += values[worth(leaves[t])];
      margins[0] = sum;
    } else if (width == 1) {
      for (int t = 0; t < leaves.length; t++) margins[outputs[t]] += values[worth(leaves[t])];
    } else {
      for (int t = 0; t < leaves.length; t++) {
        int at = worth(leaves[t]) * width;
        for (int k = 0; k < width; k++) margins[k] += values[at + k];
      }
    }
  }

  private void addFloats(int[] leaves, double[] margins) {
    if (start.length == 1) {
      float sum = (float) start[0];
      for (int t = 0; t < leaves.length; t++) sum += (float) values[worth(leaves[t])];
      margins[0] = sum;
      return;
    }
    System.arraycopy(start, 0, margins, 0, start.length);
    for (int t = 0; t < leaves.length; t++) {
      int k = outputs[t];
      margins[k] = (double) ((float) margins[k] + (float) values[worth(leaves[t])]);
    }
  }

  private void walk(long[] keys, int[] leaves, long[] nodes) {
    int g = 0;
    long w;
    for (; g + WAYS <= roots.length; g += WAYS) {
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
      leaves[order[g]] = a;
      leaves[order[g + 1]] = b;
      leaves[order[g + 2]] = c;
      leaves[order[g + 3]] = d;
      leaves[order[g + 4]] = e;
      leaves[order[g + 5]] = f;
      leaves[order[g + 6]] = h;
      leaves[order[g + 7]] = i;
    }
    for (; g < roots.length; g++) {
      int a = 2 * roots[g];
      while (!isLeaf(a)) {
        w = nodes[a + 1];
        a = (int) (w >>> 32) + (nodes[a] < keys[(int) w] ? 2 : 0);
      }
      leaves[order[g]] = a;
    }
  }

  private void walkNarrow(long[] keys, int[] leaves, long[] nodes, int shift, int mask) {
    int g = 0;
    long w;
    for (; g + WAYS <= roots.length; g += WAYS) {
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
      leaves[order[g]] = a;
      leaves[order[g + 1]] = b;
      leaves[order[g + 2]] = c;
      leaves[order[g + 3]] = d;
      leaves[order[g + 4]] = e;
      leaves[order[g + 5]] = f;
      leaves[order[g + 6]] = h;
      leaves[order[g + 7]] = i;
    }
    for (; g < roots.length; g++) {
      int a = roots[g];
      while (!stays(a)) {
        w = nodes[a];
        a = ((int) w >>> shift) + (int) ((w >> 32) - keys[(int) w & mask] >>> 63);
      }
      leaves[order[g]] = a;
    }
  }

  private boolean stays(int node) {
    return (int) nodes[node] >>> shift == node;
  }

  private boolean isLeaf(int node) {
    return (int) (nodes[node + 1] >>> 32) == node;
  }

  /** Whether a category goes left; flag 1: a missing one does, flag 2: one beyond the set does. */
  private boolean isIn(int set, double category) {
    if (category != category) return (setFlags[set] & 1) != 0;
    int number = (int) category;
    if (category <= -1 || number >= setSize[set]) return (setFlags[set] & 2) != 0;
    return (bits[setStart[set] + (number >> 6)] >>> (number & 63) & 1) != 0;
  }
}
