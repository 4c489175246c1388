package spark_scoring.jvm;

/**
 * Trees as one flat array, eight walked at a time: a walk waits for memory at every node, eight wait together.
 *
 * A node is two words, its limit, and where it leads with the place that it compares. It leads to `next` if
 * row[place] <= limit, else to the node behind that. A leaf compares the place that is always 0 with the number of its
 * value, and so leads to itself. Missing values are infinities by then (see `forest.py`): nothing but this one
 * comparison is left. Nodes that ask for a set of categories compare a place of their own, 0 for one that goes left and
 * 1 for another, filled before the walk. Trees stand in order of depth and are summed in their own. Where limits are
 * float32 and nodes are few enough, a node is one word: half the memory, half the waiting.
 */
final class TreesHead extends ModelHead {
  private static final int WAYS = 8;
  private final boolean floats, narrow;
  private final int width, shift, setsAt;
  private final double[] start, values;
  private final long[] nodes;
  private final int[] roots, depths, order, outputs;
  private final int[] setFrom, setStart, setSize, setFlags;
  private final long[] bits;

  TreesHead(ModelReader in) {
    floats = in.number() == 1;
    width = in.number();
    start = in.doubles();
    boolean singles = in.number() == 1;
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
    shift = 32 - Integer.numberOfLeadingZeros(greatest(place));
    narrow = singles && place.length < 1 << 31 - shift;
    nodes = narrow ? narrow(place, limit, next, shift) : wide(place, limit, next);
  }

  private static int greatest(int[] values) {
    int found = 1;
    for (int i = 0; i < values.length; i++) found = Math.max(found, values[i]);
    return found;
  }

  private static long[] wide(int[] place, double[] limit, int[] next) {
    long[] nodes = new long[2 * place.length];
    for (int i = 0; i < place.length; i++) {
      nodes[2 * i] = Double.doubleToRawLongBits(limit[i]);
      nodes[2 * i + 1] = (long) (2 * next[i]) << 32 | place[i];
    }
    return nodes;
  }

  private static long[] narrow(int[] place, double[] limit, int[] next, int shift) {
    long[] nodes = new long[place.length];
    for (int i = 0; i < nodes.length; i++) {
      // the bits of any whole number are those of a float that is not negative
      int bits = next[i] == i ? (int) limit[i] : Float.floatToRawIntBits((float) limit[i]);
      nodes[i] = (long) bits << 32 | next[i] << shift | place[i];
    }
    return nodes;
  }

  /** The value of a leaf. */
  private int worth(int leaf) {
    return narrow ? (int) (nodes[leaf] >>> 32) : (int) Double.longBitsToDouble(nodes[leaf]);
  }

  int scratch() {
    return roots.length;
  }

  void margins(double[] row, int[] codes, int[] leaves, double[] margins) {
    for (int set = 0; set < setFrom.length; set++) row[setsAt + set] = isIn(set, row[setFrom[set]]) ? 0 : 1;
    if (narrow) walkNarrow(row, leaves, nodes, shift, (1 << shift) - 1);
    else walk(row, leaves, nodes);
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
    System.arraycopy(start, 0, margins, 0, start.length);
    for (int t = 0; t < leaves.length; t++) {
      int k = outputs[t];
      margins[k] = (double) ((float) margins[k] + (float) values[worth(leaves[t])]);
    }
  }

  private void walk(double[] row, int[] leaves, long[] nodes) {
    int g = 0;
    long w;
    for (; g + WAYS <= roots.length; g += WAYS) {
      int a = 2 * roots[g], b = 2 * roots[g + 1], c = 2 * roots[g + 2], d = 2 * roots[g + 3];
      int e = 2 * roots[g + 4], f = 2 * roots[g + 5], h = 2 * roots[g + 6], i = 2 * roots[g + 7];
      for (int left = depths[g + WAYS - 1]; left > 0; left--) {
        w = nodes[a + 1];
        a = (int) (w >>> 32) + (row[(int) w] <= Double.longBitsToDouble(nodes[a]) ? 0 : 2);
        w = nodes[b + 1];
        b = (int) (w >>> 32) + (row[(int) w] <= Double.longBitsToDouble(nodes[b]) ? 0 : 2);
        w = nodes[c + 1];
        c = (int) (w >>> 32) + (row[(int) w] <= Double.longBitsToDouble(nodes[c]) ? 0 : 2);
        w = nodes[d + 1];
        d = (int) (w >>> 32) + (row[(int) w] <= Double.longBitsToDouble(nodes[d]) ? 0 : 2);
        w = nodes[e + 1];
        e = (int) (w >>> 32) + (row[(int) w] <= Double.longBitsToDouble(nodes[e]) ? 0 : 2);
        w = nodes[f + 1];
        f = (int) (w >>> 32) + (row[(int) w] <= Double.longBitsToDouble(nodes[f]) ? 0 : 2);
        w = nodes[h + 1];
        h = (int) (w >>> 32) + (row[(int) w] <= Double.longBitsToDouble(nodes[h]) ? 0 : 2);
        w = nodes[i + 1];
        i = (int) (w >>> 32) + (row[(int) w] <= Double.longBitsToDouble(nodes[i]) ? 0 : 2);
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
        a = (int) (w >>> 32) + (row[(int) w] <= Double.longBitsToDouble(nodes[a]) ? 0 : 2);
      }
      leaves[order[g]] = a;
    }
  }

  private void walkNarrow(double[] row, int[] leaves, long[] nodes, int shift, int mask) {
    int g = 0;
    long w;
    for (; g + WAYS <= roots.length; g += WAYS) {
      int a = roots[g], b = roots[g + 1], c = roots[g + 2], d = roots[g + 3];
      int e = roots[g + 4], f = roots[g + 5], h = roots[g + 6], i = roots[g + 7];
      for (int left = depths[g + WAYS - 1]; left > 0; left--) {
        w = nodes[a];
        a = ((int) w >>> shift) + (row[(int) w & mask] <= (double) Float.intBitsToFloat((int) (w >>> 32)) ? 0 : 1);
        w = nodes[b];
        b = ((int) w >>> shift) + (row[(int) w & mask] <= (double) Float.intBitsToFloat((int) (w >>> 32)) ? 0 : 1);
        w = nodes[c];
        c = ((int) w >>> shift) + (row[(int) w & mask] <= (double) Float.intBitsToFloat((int) (w >>> 32)) ? 0 : 1);
        w = nodes[d];
        d = ((int) w >>> shift) + (row[(int) w & mask] <= (double) Float.intBitsToFloat((int) (w >>> 32)) ? 0 : 1);
        w = nodes[e];
        e = ((int) w >>> shift) + (row[(int) w & mask] <= (double) Float.intBitsToFloat((int) (w >>> 32)) ? 0 : 1);
        w = nodes[f];
        f = ((int) w >>> shift) + (row[(int) w & mask] <= (double) Float.intBitsToFloat((int) (w >>> 32)) ? 0 : 1);
        w = nodes[h];
        h = ((int) w >>> shift) + (row[(int) w & mask] <= (double) Float.intBitsToFloat((int) (w >>> 32)) ? 0 : 1);
        w = nodes[i];
        i = ((int) w >>> shift) + (row[(int) w & mask] <= (double) Float.intBitsToFloat((int) (w >>> 32)) ? 0 : 1);
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
        a = ((int) w >>> shift) + (row[(int) w & mask] <= (double) Float.intBitsToFloat((int) (w >>> 32)) ? 0 : 1);
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
