package spark_scoring.jvm;

/**
 * Trees: sets of categories before, the leaf of each tree, and the sum of their values, in the order of the trees.
 *
 * Nodes that ask for a set of categories compare a place of their own, 0 for a category that goes left and 1 for another.
 */
final class TreesHead extends ModelHead {
  private final boolean floats;
  private final int width, trees, setsAt;
  private final double[] start, values;
  /** The values of models that sum float32 numbers. */
  private final float[] singles;
  private final int[] outputs;
  private final TreeLeaves leaves;
  private final int[] setFrom, setStart, setSize, setFlags;
  private final long[] bits;

  TreesHead(ModelReader in) {
    floats = in.number() == 1;
    width = in.number();
    start = in.doubles();
    int leafBits = in.number();
    int kind = in.number();
    int[] place = in.ints();
    double[] limit = in.doubles();
    int[] next = in.ints();
    double[] given = in.doubles();
    TreeNodes nodes = new TreeNodes(kind, place, limit, next, in.ints(), in.ints(), in.ints());
    leaves = TreeLeaves.of(nodes, leafBits);
    values = leaves.arranged(given, width);
    singles = new float[floats ? values.length : 0];
    for (int i = 0; i < singles.length; i++) singles[i] = (float) values[i];
    trees = nodes.roots.length;
    outputs = in.ints();
    setsAt = in.number();
    setFrom = in.ints();
    setStart = in.ints();
    setSize = in.ints();
    setFlags = in.ints();
    bits = in.longs();
  }

  int scratch() {
    return leaves.scratch();
  }

  int keys() {
    return leaves.keys();
  }

  long bytes() {
    return leaves.bytes();
  }

  void margins(double[] row, int[] codes, int[] scratch, long[] keys, double[] margins) {
    for (int set = 0; set < setFrom.length; set++) row[setsAt + set] = isIn(set, row[setFrom[set]]) ? 0 : 1;
    leaves.start(row, keys);
    if (start.length > 1) {
      addSeveral(scratch, keys, margins);
    } else if (floats) {
      margins[0] = floatSum(scratch, keys);
    } else {
      margins[0] = sum(scratch, keys);
    }
  }

  private double sum(int[] found, long[] keys) {
    double sum = start[0];
    for (int t = 0; t < trees;) {
      for (int end = leaves.find(t, found, keys); t < end; t++) sum += values[found[t]];
    }
    return sum;
  }

  private float floatSum(int[] found, long[] keys) {
    float sum = (float) start[0];
    for (int t = 0; t < trees;) {
      for (int end = leaves.find(t, found, keys); t < end; t++) sum += singles[found[t]];
    }
    return sum;
  }

  private void addSeveral(int[] found, long[] keys, double[] margins) {
    System.arraycopy(start, 0, margins, 0, start.length);
    for (int t = 0; t < trees;) {
      for (int end = leaves.find(t, found, keys); t < end; t++) {
        int at = found[t] * width, k = outputs[t];
        if (floats) {
          margins[k] = (double) ((float) margins[k] + singles[at]);
        } else if (width == 1) {
          margins[k] += values[at];
        } else {
          for (k = 0; k < width; k++) margins[k] += values[at + k];
        }
      }
    }
  }

  /** Whether a category goes left; flag 1: a missing one does, flag 2: one beyond the set does. */
  private boolean isIn(int set, double category) {
    if (category != category) return (setFlags[set] & 1) != 0;
    int number = (int) category;
    if (category <= -1 || number >= setSize[set]) return (setFlags[set] & 2) != 0;
    return (bits[setStart[set] + (number >> 6)] >>> (number & 63) & 1) != 0;
  }
}
