package spark_scoring.jvm;

/**
 * Trees as flat arrays, eight walked at a time: a walk waits for memory at every node, eight wait together.
 *
 * A node goes to `next` if row[place] <= limit, else to the node behind that; a leaf goes to itself. Missing values
 * are infinities by then (see `trees.py`), so that nothing but this one comparison is left. A negative place is
 * ~place of a category, `limit` then the number of a set. Trees stand in order of depth and are summed in their own.
 */
final class TreesHead extends ModelHead {
  private static final int WAYS = 8;
  private final boolean floats, sets;
  private final int width;
  private final double[] start, limit, values;
  private final int[] place, next, worth, roots, depths, order, outputs;
  private final int[] setStart, setSize, setFlags;
  private final long[] bits;

  TreesHead(ModelReader in) {
    floats = in.number() == 1;
    width = in.number();
    start = in.doubles();
    place = in.ints();
    limit = in.doubles();
    next = in.ints();
    worth = in.ints();
    values = in.doubles();
    roots = in.ints();
    depths = in.ints();
    order = in.ints();
    outputs = in.ints();
    setStart = in.ints();
    setSize = in.ints();
    setFlags = in.ints();
    bits = in.longs();
    sets = setStart.length > 0;
  }

  int scratch() {
    return roots.length;
  }

  void margins(double[] row, int[] codes, int[] leaves, double[] margins) {
    if (sets) walkSets(row, leaves);
    else walk(row, leaves, place, limit, next);
    if (floats) addFloats(leaves, margins);
    else add(leaves, margins);
  }

  private void add(int[] leaves, double[] margins) {
    System.arraycopy(start, 0, margins, 0, start.length);
    if (width == 1 && start.length == 1) {
      double sum = start[0];
      for (int t = 0; t < leaves.length; t++) sum += values[worth[leaves[t]]];
      margins[0] = sum;
    } else if (width == 1) {
      for (int t = 0; t < leaves.length; t++) margins[outputs[t]] += values[worth[leaves[t]]];
    } else {
      for (int t = 0; t < leaves.length; t++) {
        int at = worth[leaves[t]] * width;
        for (int k = 0; k < width; k++) margins[k] += values[at + k];
      }
    }
  }

  private void addFloats(int[] leaves, double[] margins) {
    System.arraycopy(start, 0, margins, 0, start.length);
    for (int t = 0; t < leaves.length; t++) {
      int k = outputs[t];
      margins[k] = (double) ((float) margins[k] + (float) values[worth[leaves[t]]]);
    }
  }

  private void walk(double[] row, int[] leaves, int[] place, double[] limit, int[] next) {
    int g = 0;
    for (; g + WAYS <= roots.length; g += WAYS) {
      int a = roots[g], b = roots[g + 1], c = roots[g + 2], d = roots[g + 3];
      int e = roots[g + 4], f = roots[g + 5], h = roots[g + 6], i = roots[g + 7];
      for (int left = depths[g + WAYS - 1]; left > 0; left--) {
        a = next[a] + (row[place[a]] <= limit[a] ? 0 : 1);
        b = next[b] + (row[place[b]] <= limit[b] ? 0 : 1);
        c = next[c] + (row[place[c]] <= limit[c] ? 0 : 1);
        d = next[d] + (row[place[d]] <= limit[d] ? 0 : 1);
        e = next[e] + (row[place[e]] <= limit[e] ? 0 : 1);
        f = next[f] + (row[place[f]] <= limit[f] ? 0 : 1);
        h = next[h] + (row[place[h]] <= limit[h] ? 0 : 1);
        i = next[i] + (row[place[i]] <= limit[i] ? 0 : 1);
        if ((left & 3) == 0 && next[a] == a && next[b] == b && next[c] == c && next[d] == d && next[e] == e
            && next[f] == f && next[h] == h && next[i] == i) break;
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
      while (next[a] != a) a = next[a] + (row[place[a]] <= limit[a] ? 0 : 1);
      leaves[order[g]] = a;
    }
  }

  private void walkSets(double[] row, int[] leaves) {
    for (int g = 0; g < roots.length; g++) {
      int a = roots[g];
      while (next[a] != a) {
        boolean left = place[a] >= 0 ? row[place[a]] <= limit[a] : isIn((int) limit[a], row[~place[a]]);
        a = next[a] + (left ? 0 : 1);
      }
      leaves[order[g]] = a;
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
