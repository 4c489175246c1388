package spark_scoring.jvm;

import java.util.Arrays;

/**
 * The nodes of all trees, as `forest.py` writes them, in one array each.
 *
 * A node leads to `next` if its place's number <= limit, else to the node behind that. A leaf leads to itself, and its
 * limit is the number of its value. `used` are the places that nodes compare, and `place` stands in it. `roots` and
 * `depths` stand in order of depth, `order` says which tree each is.
 */
final class TreeNodes {
  private static final int SINGLES = 1, RANKS = 2;
  final int kind;
  final int[] place, next, roots, depths, order, used;
  final double[] limit;

  TreeNodes(int kind, int[] place, double[] limit, int[] next, int[] roots, int[] depths, int[] order) {
    this.kind = kind;
    this.place = place;
    this.limit = limit;
    this.next = next;
    this.roots = roots;
    this.depths = depths;
    this.order = order;
    used = distinct(place);
    for (int i = 0; i < place.length; i++) place[i] = Arrays.binarySearch(used, place[i]);
  }

  private static int[] distinct(int[] values) {
    int[] sorted = (int[]) values.clone();
    Arrays.sort(sorted);
    int n = 0;
    for (int i = 0; i < sorted.length; i++) if (n == 0 || sorted[n - 1] != sorted[i]) sorted[n++] = sorted[i];
    return Arrays.copyOf(sorted, n);
  }

  boolean isLeaf(int node) {
    return next[node] == node;
  }

  /** Whether nodes compare float32 numbers. */
  boolean singles() {
    return kind == SINGLES;
  }

  /** Whether nodes compare ranks when they are walked. */
  boolean ranked() {
    return kind == RANKS;
  }

  /** Whether a node fits into one word. */
  boolean narrow() {
    return kind != 0;
  }
}
